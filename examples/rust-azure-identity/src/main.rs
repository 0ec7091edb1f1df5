//! Lists blobs as an application that trusts the managed identity of the machine
//! it runs on, with azure_identity and azure_storage_blob.

use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientMethodOptions, Url};
use azure_identity::{
    ClientAssertion, ClientAssertionCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId,
};
use azure_storage_blob::BlobContainerClient;
use futures::TryStreamExt;

const ACCOUNT_NAME: &str = "contosodata";
const CONTAINER_NAME: &str = "reports";
const TENANT_ID: &str = "11111111-1111-1111-1111-111111111111"; // of the storage account
const APP_CLIENT_ID: &str = "22222222-2222-2222-2222-222222222222"; // has access to the storage account
const MANAGED_IDENTITY_CLIENT_ID: &str = "44444444-4444-4444-4444-444444444444"; // is assigned to this machine
const AUDIENCE: &str = "api://AzureADTokenExchange";

/// The managed identity's token, as the assertion of the application.
#[derive(Debug)]
struct Assertion(Arc<ManagedIdentityCredential>);

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let scope = format!("{AUDIENCE}/.default");
        let token = self.0.get_token(&[&scope], None).await?;
        Ok(token.token.secret().to_owned())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let identity = ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
        user_assigned_id: Some(UserAssignedId::ClientId(MANAGED_IDENTITY_CLIENT_ID.into())),
        ..Default::default()
    }))?;
    let app = ClientAssertionCredential::new(TENANT_ID.into(), APP_CLIENT_ID.into(), Assertion(identity), None)?;
    let url = Url::parse(&format!("https://{ACCOUNT_NAME}.blob.core.windows.net/{CONTAINER_NAME}"))?;
    let container = BlobContainerClient::new(url, Some(app), None)?;
    let mut blobs = container.list_blobs(None)?;
    while let Some(blob) = blobs.try_next().await? {
        println!("{}", blob.name.unwrap_or_default());
    }
    Ok(())
}
