//! Signs in from every place that hands out tokens, with azure_identity. Each
//! argument is an identity to do so with; see examples/sources.

use std::env;
use std::error::Error;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::ClientMethodOptions;
use azure_identity::{
    AzurePipelinesCredential, ClientAssertion, ClientAssertionCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
};

const STORAGE: &str = "https://storage.azure.com/.default";

/// Where the assertion of the application comes from.
#[derive(Debug)]
enum Assertion {
    Identity(Arc<ManagedIdentityCredential>),
    File(String),
}

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        match self {
            Assertion::Identity(identity) => {
                let token = identity.get_token(&["api://AzureADTokenExchange/.default"], None).await?;
                Ok(token.token.secret().to_owned())
            }
            Assertion::File(file) => Ok(std::fs::read_to_string(file)?),
        }
    }
}

async fn exchange(assertion: Assertion) -> Result<(), Box<dyn Error>> {
    let app = ClientAssertionCredential::new(
        "11111111-1111-1111-1111-111111111111".into(),
        "22222222-2222-2222-2222-222222222222".into(),
        assertion,
        None,
    )?;
    app.get_token(&[STORAGE], None).await?;
    Ok(())
}

async fn workload() -> Result<(), Box<dyn Error>> {
    if env::var("SYSTEM_OIDCREQUESTURI").is_err() {
        WorkloadIdentityCredential::new(None)?.get_token(&[STORAGE], None).await?;
        return Ok(());
    }
    let credential = AzurePipelinesCredential::new(
        env::var("AZURESUBSCRIPTION_TENANT_ID")?,
        env::var("AZURESUBSCRIPTION_CLIENT_ID")?,
        &env::var("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")?,
        env::var("SYSTEM_ACCESSTOKEN")?,
        None,
    )?;
    credential.get_token(&[STORAGE], None).await?;
    Ok(())
}

async fn sign_in(word: &str) -> Result<(), Box<dyn Error>> {
    let (kind, value) = word.split_once('=').unwrap_or((word, ""));
    let user_assigned_id = match kind {
        "workload" => return workload().await,
        "file" => return exchange(Assertion::File(env::var("ASSERTION_FILE")?)).await,
        "client-id" => Some(UserAssignedId::ClientId(value.into())),
        "object-id" => Some(UserAssignedId::ObjectId(value.into())),
        "resource-id" => Some(UserAssignedId::ResourceId(value.into())),
        _ => None,
    };
    let options = ManagedIdentityCredentialOptions { user_assigned_id, ..Default::default() };
    let identity = ManagedIdentityCredential::new(Some(options))?;
    if let Ok(resource) = env::var("RESOURCE") {
        identity.get_token(&[&format!("{resource}/.default")], None).await?;
        return Ok(());
    }
    exchange(Assertion::Identity(identity)).await
}

/// The error and its causes, in one line.
fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::main]
async fn main() {
    for word in env::args().skip(1) {
        match sign_in(&word).await {
            Ok(()) => println!("{word}\tok"),
            Err(error) => println!("{word}\t{}", text(error.as_ref())),
        }
    }
}
