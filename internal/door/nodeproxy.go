package door

import _ "embed"

// NodeProxyFile is the name that the module of [NodeProxy] goes by.
const NodeProxyFile = "fakeentra-node.cjs"

//go:embed fakeentra-node.cjs
var nodeProxy string

// NodeProxy returns a CommonJS module that leads every connection of Node.js 12
// and later through the [Proxy] that HTTPS_PROXY names, once it is preloaded.
func NodeProxy() string { return nodeProxy }
