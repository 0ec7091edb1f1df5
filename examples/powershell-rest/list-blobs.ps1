#Requires -Version 7.2
# Lists blobs as an application that trusts the managed identity of the machine
# it runs on, with nothing but PowerShell.
$ErrorActionPreference = 'Stop'

$account = 'contosodata'
$container = 'reports'
$tenant = '11111111-1111-1111-1111-111111111111' # of the storage account
$appClientId = '22222222-2222-2222-2222-222222222222' # has access to the storage account
$managedIdentityClientId = '44444444-4444-4444-4444-444444444444' # is assigned to this machine

$assertion = Invoke-RestMethod -Uri 'http://169.254.169.254/metadata/identity/oauth2/token' -Headers @{ Metadata = 'true' } -Body @{
    'api-version' = '2018-02-01'
    resource      = 'api://AzureADTokenExchange'
    client_id     = $managedIdentityClientId
}

$token = Invoke-RestMethod -Method Post -Uri "https://login.microsoftonline.com/$tenant/oauth2/v2.0/token" -Body @{
    grant_type            = 'client_credentials'
    client_id             = $appClientId
    scope                 = 'https://storage.azure.com/.default'
    client_assertion_type = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
    client_assertion      = $assertion.access_token
}

$page = Invoke-WebRequest -Uri "https://$account.blob.core.windows.net/${container}?restype=container&comp=list" -Headers @{
    Authorization  = "Bearer $($token.access_token)"
    'x-ms-version' = '2026-04-06'
}
$list = [xml]($page.Content -replace '^[^<]+') # without the byte order mark, which no parser of strings accepts
Select-Xml -Xml $list -XPath '//Blob/Name' | ForEach-Object { $_.Node.InnerText }
