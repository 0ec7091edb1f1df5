package blob

import "net/http"

// Where the rows come from.
const (
	pageCommon  = "Microsoft: Common REST API error codes"
	pageBlob    = "Microsoft: Blob service error codes"
	pageEntra   = "Microsoft: Authorize with Microsoft Entra ID (REST API), bearer challenge"
	pageHeaders = "Microsoft: Specifying conditional headers for Blob service operations"
	azurite     = "Azurite source, StorageErrorFactory"
	recorded    = "recorded answers of the real service"
	onWire      = "; worded as in answers of the service or of Microsoft's storage emulator, which differ from the page"
	inferred    = "inferred: the real text is not known"
)

const (
	textChallenge = "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."
	textForbidden = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."
)

// Refusals of callers.
var (
	errNoCredentials   = row(Refusal{Name: "NoAuthenticationInformation", Status: 401, Text: textChallenge, FrontEnd: true, Source: pageEntra})
	errPublicAccess    = row(Refusal{Name: "PublicAccessNotPermitted", Status: 409, Text: "Public access is not permitted on this storage account.", Source: pageEntra})
	errWrongIssuer     = row(Refusal{Name: "InvalidAuthenticationInfo/issuer", Status: 401, Text: textChallenge, Detail: "Issuer validation failed. Issuer did not match.", FrontEnd: true, Source: recorded})
	errWrongAudience   = row(Refusal{Name: "InvalidAuthenticationInfo/audience", Status: 401, Text: textChallenge, Detail: "Audience validation failed. Audience did not match.", FrontEnd: true, Source: recorded})
	errExpired         = row(Refusal{Name: "InvalidAuthenticationInfo/expired", Status: 401, Text: textChallenge, Detail: "Lifetime validation failed. The token is expired.", FrontEnd: true, Source: recorded + "; azcopy matches on the text"})
	errNotYetValid     = row(Refusal{Name: "InvalidAuthenticationInfo/not-yet-valid", Status: 401, Text: textChallenge, Detail: "Lifetime validation failed.", FrontEnd: true, Source: azurite})
	errWrongSignature  = row(Refusal{Name: "InvalidAuthenticationInfo/signature", Status: 401, Text: textChallenge, Detail: "Signature validation failed. Signature did not match.", FrontEnd: true, Source: inferred + ", worded like the other details"})
	errUnreadableToken = row(Refusal{Name: "InvalidAuthenticationInfo/token", Status: 401, Text: textChallenge, Detail: "Authentication scheme Bearer is not supported.", FrontEnd: true, Source: azurite})
	errAuthorization   = row(Refusal{Name: "InvalidAuthenticationInfo/header", Status: 400, Text: "Authentication information is not given in the correct format. Check the value of Authorization header.", Source: pageCommon + "; wording of Azurite"})
	// errOldVersion has 437 bytes where a recording has 438; one byte of the
	// real text is not known.
	errOldVersion  = row(Refusal{Name: "AuthenticationFailed/version", Status: 403, Text: textForbidden, Detail: "Authentication scheme Bearer is not supported in this version.", Source: recorded})
	errPlainHTTP   = row(Refusal{Name: "AuthenticationFailed/http", Status: 403, Text: textForbidden, Detail: "Authentication scheme Bearer is not allowed with HTTP.", Source: azurite})
	errOldToken    = row(Refusal{Name: "AuthenticationFailed/token", Status: 403, Text: textForbidden, Source: recorded + " for versions before 2019-12-12; the detail is that of the 401"})
	errAccountKey  = row(Refusal{Name: "KeyBasedAuthenticationNotPermitted", Status: 403, Text: "Key based authentication is not permitted on this storage account.", Source: "general knowledge of accounts with shared key access disabled"})
	errPermission  = row(Refusal{Name: "AuthorizationPermissionMismatch", Status: 403, Text: "This request is not authorized to perform this operation using this permission.", Source: recorded})
	errOverwrite   = row(Refusal{Name: "UnauthorizedBlobOverwrite", Status: 403, Text: "This request is not authorized to perform blob overwrites.", Source: pageBlob})
	errSecondary   = row(Refusal{Name: "InsufficientAccountPermissions", Status: 403, Text: "Write operations are not allowed.", Source: pageCommon})
	_              = row(Refusal{Name: "AuthorizationFailure", Status: 403, Text: "This request is not authorized to perform this operation.", FrontEnd: true, Source: recorded + "; only faults raise it"})
	errNoResource  = row(Refusal{Name: "ResourceNotFound", Status: 404, Text: "The specified resource does not exist.", Source: pageCommon + "; Azurite answers so for an unknown account"})
	errVerb        = row(Refusal{Name: "UnsupportedHttpVerb", Status: 405, Text: "The resource doesn't support specified Http Verb.", Source: pageCommon + onWire})
	errNotEmulated = row(Refusal{Name: "NotImplemented", Status: 501, Text: "The requested operation is not implemented on the specified resource.", Source: "general knowledge: the code that other services of Storage have for it; azcore does not retry 501"})
	_              = row(Refusal{Name: "InternalError", Status: 500, Text: "The server encountered an internal error. Please retry the request.", Source: pageCommon + "; only faults raise it"})
	_              = row(Refusal{Name: "ServerBusy", Status: 503, Text: "The server is currently unable to receive requests. Please retry your request.", Source: pageCommon + "; only faults raise it"})
)

// Refusals of what a request asks for.
var (
	errNoContainer     = row(Refusal{Name: "ContainerNotFound", Status: 404, Text: "The specified container does not exist.", Source: pageBlob})
	errNoBlob          = row(Refusal{Name: "BlobNotFound", Status: 404, Text: "The specified blob does not exist.", Source: pageBlob})
	errContainerExists = row(Refusal{Name: "ContainerAlreadyExists", Status: 409, Text: "The specified container already exists.", Source: pageBlob})
	errBlobExists      = row(Refusal{Name: "BlobAlreadyExists", Status: 409, Text: "The specified blob already exists.", Source: pageBlob})
	errName            = row(Refusal{Name: "InvalidResourceName", Status: 400, Text: "The specified resource name contains invalid characters.", Source: pageCommon})
	errNameLength      = row(Refusal{Name: "OutOfRangeInput/name", Status: 400, Text: "The specified resource name length is not within the permissible limits.", Source: azurite})
	errOutOfRange      = row(Refusal{Name: "OutOfRangeInput", Status: 400, Text: "One of the request inputs is out of range.", Source: pageCommon})
	errURI             = row(Refusal{Name: "InvalidUri", Status: 400, Text: "The requested URI does not represent any resource on the server.", Source: pageCommon})
	errHeader          = row(Refusal{Name: "InvalidHeaderValue", Status: 400, Text: "The value for one of the HTTP headers is not in the correct format.", Source: pageCommon + onWire})
	errHeaderMissing   = row(Refusal{Name: "MissingRequiredHeader", Status: 400, Text: "An HTTP header that's mandatory for this request is not specified.", Source: pageCommon + onWire})
	errQuery           = row(Refusal{Name: "InvalidQueryParameterValue", Status: 400, Text: "Value for one of the query parameters specified in the request URI is invalid.", Source: pageCommon + onWire})
	errQueryRange      = row(Refusal{Name: "OutOfRangeQueryParameterValue", Status: 400, Text: "One of the query parameters specified in the request URI is outside the permissible range.", Source: pageCommon + onWire})
	errQueryMissing    = row(Refusal{Name: "MissingRequiredQueryParameter", Status: 400, Text: "A query parameter that's mandatory for this request is not specified.", Source: pageCommon + onWire})
	errMetadata        = row(Refusal{Name: "InvalidMetadata", Status: 400, Text: "The metadata specified is invalid. It has characters that are not permitted.", Source: pageCommon + onWire})
	errMetadataKey     = row(Refusal{Name: "EmptyMetadataKey", Status: 400, Text: "The key for one of the metadata key-value pairs is empty.", Source: pageCommon})
	errMetadataLarge   = row(Refusal{Name: "MetadataTooLarge", Status: 400, Text: "The size of the specified metadata exceeds the maximum size permitted.", Source: pageCommon})
	errMD5             = row(Refusal{Name: "InvalidMd5", Status: 400, Text: "The MD5 value specified in the request is invalid. The MD5 value must be 128 bits and Base64-encoded.", Source: pageCommon})
	errMD5Mismatch     = row(Refusal{Name: "Md5Mismatch", Status: 400, Text: "The MD5 value specified in the request did not match with the MD5 value calculated by the server.", Source: pageCommon + onWire})
	errCRC64Mismatch   = row(Refusal{Name: "Crc64Mismatch", Status: 400, Text: "The CRC64 value specified in the request did not match with the CRC64 value calculated by the server.", Source: azurite})
	errInput           = row(Refusal{Name: "InvalidInput", Status: 400, Text: "One of the request inputs is not valid.", Source: pageCommon})
	errBodyTooLarge    = row(Refusal{Name: "RequestBodyTooLarge", Status: 413, Text: "The request body is too large and exceeds the maximum permissible limit.", Source: pageCommon + onWire})
	errRange           = row(Refusal{Name: "InvalidRange", Status: 416, Text: "The range specified is invalid for the current size of the resource.", Source: pageBlob})
	errConditionNotMet = row(Refusal{Name: "ConditionNotMet", Status: 412, Text: "The condition specified using HTTP conditional header(s) is not met.", Source: pageHeaders})
	errNotModified     = row(Refusal{Name: "ConditionNotMet/read", Status: http.StatusNotModified, Text: "The condition specified using HTTP conditional header(s) is not met.", Source: pageHeaders})
	errConditions      = row(Refusal{Name: "MultipleConditionHeadersNotSupported", Status: 400, Text: "Multiple condition headers are not supported.", Source: pageHeaders})
	errNoConditions    = row(Refusal{Name: "ConditionHeadersNotSupported", Status: 400, Text: "Condition headers are not supported.", Source: pageHeaders})
	errUnsatisfiable   = row(Refusal{Name: "UnsatisfiableCondition", Status: 400, Text: "The request includes an unsatisfiable condition for this operation.", Source: recorded})
	errBlockID         = row(Refusal{Name: "InvalidBlockId", Status: 400, Text: "The specified block ID is invalid. The block ID must be Base64-encoded.", Source: pageBlob})
	errBlockList       = row(Refusal{Name: "InvalidBlockList", Status: 400, Text: "The specified block list is invalid.", Source: pageBlob})
	errBlock           = row(Refusal{Name: "InvalidBlobOrBlock", Status: 400, Text: "The specified blob or block content is invalid.", Source: pageBlob})
	errBlockListLong   = row(Refusal{Name: "BlockListTooLong", Status: 400, Text: "The block list may not contain more than 50,000 blocks.", Source: pageBlob})
	errTooManyBlocks   = row(Refusal{Name: "BlockCountExceedsLimit", Status: 409, Text: "The uncommitted block count cannot exceed the maximum limit of 100,000 blocks.", Source: pageBlob})
	errXML             = row(Refusal{Name: "InvalidXmlDocument", Status: 400, Text: "XML specified is not syntactically valid.", Source: pageCommon + onWire})
)
