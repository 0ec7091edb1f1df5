package environment

import "strings"

// Azure reports whether a host name, in lower case, is one of Azure itself, in
// any of its clouds: that of a service that is named here, one below it, or one
// of a storage account, such as those below core.windows.net. It does not know
// the hosts of other services.
func Azure(hostname string) bool {
	for _, e := range All() {
		_, storage, _ := strings.Cut(e.BlobSuffix, ".") // of all services of an account
		for _, name := range append([]string{e.V1IssuerHost, e.GraphHost, e.ManagementHost, e.CloudGraphHostName, storage}, e.LoginAliases...) {
			if hostname == name || strings.HasSuffix(hostname, "."+name) {
				return true
			}
		}
	}
	return false
}
