//! Drives azure_identity and azure_storage_blob in the conformance suite.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientMethodOptions, ClientOptions, Url};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ClientAssertionCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId,
};
use azure_storage_blob::BlobContainerClient;
use futures::TryStreamExt;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::timeout;

type Outcome = Result<Value, Box<dyn Error + Send + Sync>>;

/// Where the assertion of the application comes from.
#[derive(Debug)]
enum Assertion {
    Identity(Arc<ManagedIdentityCredential>, String),
    File,
}

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        match self {
            Assertion::Identity(identity, scope) => {
                let token = identity.get_token(&[scope], None).await?;
                Ok(token.token.secret().to_owned())
            }
            Assertion::File => {
                let file = env::var("AZURE_FEDERATED_TOKEN_FILE").unwrap_or_default();
                Ok(std::fs::read_to_string(file)?)
            }
        }
    }
}

/// A client under test.
struct Client {
    identity: Option<Arc<ManagedIdentityCredential>>,
    app: Arc<dyn TokenCredential>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

impl Client {
    fn open(config: &Value) -> Result<Client, Box<dyn Error + Send + Sync>> {
        let value = text(&config["identity"]["value"]);
        let user_assigned_id = match config["identity"]["kind"].as_str() {
            Some("client_id") => Some(UserAssignedId::ClientId(value)),
            Some("object_id") => Some(UserAssignedId::ObjectId(value)),
            Some("resource_id") => Some(UserAssignedId::ResourceId(value)),
            _ => None,
        };
        let mut identity = None;
        let mut assertion = Assertion::File;
        if config["mi_source"] != "tokenfile" {
            let options = ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() };
            let credential = ManagedIdentityCredential::new(Some(options))?;
            assertion = Assertion::Identity(credential.clone(), format!("{}/.default", text(&config["audience"])));
            identity = Some(credential);
        }
        let mut elsewhere = CustomConfiguration::default();
        elsewhere.authority_host = text(&config["endpoints"]["authority"]);
        let cloud = match config["cloud"].as_str() {
            Some("public") => CloudConfiguration::AzurePublic,
            Some("usgov") => CloudConfiguration::AzureGovernment,
            Some("china") => CloudConfiguration::AzureChina,
            _ => elsewhere.into(),
        };
        let options = ClientAssertionCredentialOptions {
            client_options: ClientOptions { cloud: Some(Arc::new(cloud)), ..Default::default() },
        };
        let app = ClientAssertionCredential::new(
            text(&config["tenant"]),
            text(&config["app_client_id"]),
            assertion,
            Some(options),
        )?;
        Ok(Client { identity, app })
    }

    /// Does what one caller asks for, who may give up: that is to drop the future.
    async fn perform(&self, request: &Value) -> Value {
        let work = self.attempt(request);
        let outcome = match (request["timeout_ms"].as_u64(), request["cancel_after_ms"].as_u64()) {
            (None, None) => work.await,
            (deadline, cancel) => {
                let kind = if deadline.is_some() { "timeout" } else { "cancelled" };
                match timeout(Duration::from_millis(deadline.or(cancel).unwrap_or_default()), work).await {
                    Ok(outcome) => outcome,
                    Err(error) => return json!({"error": {"kind": kind, "message": error.to_string()}}),
                }
            }
        };
        outcome.unwrap_or_else(|error| json!({"error": failure(error.as_ref())}))
    }

    async fn attempt(&self, request: &Value) -> Outcome {
        match request["op"].as_str() {
            Some("token") => {
                let scopes: Vec<String> = request["scopes"].as_array().into_iter().flatten().map(text).collect();
                let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
                found(self.app.get_token(&scopes, None).await?)
            }
            Some("mi_token") => {
                let identity = self.identity.as_ref().ok_or("there is no managed identity here")?;
                let scope = format!("{}/.default", text(&request["resource"]));
                found(identity.get_token(&[&scope], None).await?)
            }
            _ => {
                let url = Url::parse(&text(&request["url"]))?;
                let container = BlobContainerClient::new(url, Some(self.app.clone()), None)?;
                let mut blobs = container.list_blobs(None)?;
                let mut items = Vec::new();
                while let Some(blob) = blobs.try_next().await? {
                    items.push(blob.name.unwrap_or_default());
                }
                Ok(json!({"status": 200, "items": items}))
            }
        }
    }
}

fn found(token: azure_core::credentials::AccessToken) -> Outcome {
    Ok(json!({"token": token.token.secret(), "expires_on": token.expires_on.unix_timestamp()}))
}

/// The error and its causes.
fn failure(error: &(dyn Error + 'static)) -> Value {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    json!({"kind": "other", "message": message})
}

fn hello() -> Value {
    json!({
        "protocol": 1,
        "implementation": {
            "name": "azure_identity", "version": "1.0.0", "language": "rust", "runtime": "tokio",
            "homepage": "https://github.com/Azure/azure-sdk-for-rust",
            "issues": "https://github.com/Azure/azure-sdk-for-rust/issues",
        },
        "dependencies": [
            {"name": "azure_identity", "version": "1.0.0"},
            {"name": "azure_core", "version": "1.1.0"},
            {"name": "azure_storage_blob", "version": "1.1.0"},
        ],
        "capabilities": [
            "imds", "appservice", "tokenfile", "identity.client_id", "identity.object_id", "identity.resource_id",
            "identity.system", "blob", "cancel", "timeout", "mi_token", "reset", "concurrency",
        ],
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut clients: HashMap<String, Arc<Client>> = HashMap::new();
    let mut requests = BufReader::new(tokio::io::stdin()).lines();
    let mut answers = tokio::io::stdout();
    while let Some(line) = requests.next_line().await? {
        let request: Arc<Value> = Arc::new(serde_json::from_str(&line)?);
        let session = text(&request["session"]);
        let mut answer = match request["op"].as_str() {
            Some("hello") => json!({"ok": hello()}),
            Some("open") => match Client::open(&request["config"]) {
                Ok(client) => {
                    clients.insert(session, Arc::new(client));
                    json!({"ok": {}})
                }
                Err(error) => json!({"error": failure(error.as_ref())}),
            },
            Some("token") if request["tenant"].is_string() || request["tenants"].is_array() => {
                json!({"skip": {"reason": "the SDK has no tenant for one request"}})
            }
            Some("token" | "mi_token" | "resource") if clients.contains_key(&session) => {
                together(&clients[&session], &request).await
            }
            Some("close" | "stop") => {
                clients.remove(&session);
                json!({"ok": {}})
            }
            _ => json!({"skip": {"reason": format!("the driver does not know the operation {}", request["op"])}}),
        };
        answer["id"] = request["id"].clone();
        answers.write_all(format!("{answer}\n").as_bytes()).await?;
        answers.flush().await?;
        if request["op"] == "stop" {
            break;
        }
    }
    Ok(())
}

/// As many callers as the request says, at the same time.
async fn together(client: &Arc<Client>, request: &Arc<Value>) -> Value {
    let callers: Vec<_> = (0..request["n"].as_u64().unwrap_or(1).max(1))
        .map(|_| {
            let (client, request) = (client.clone(), request.clone());
            tokio::spawn(async move { client.perform(&request).await })
        })
        .collect();
    let mut results = Vec::new();
    for caller in callers {
        results.push(caller.await.unwrap_or_else(|error| {
            let kind = if error.is_panic() { "crashed" } else { "other" };
            json!({"error": {"kind": kind, "message": error.to_string()}})
        }));
    }
    json!({"ok": {"results": results}})
}
