package fakeentra_test

import (
	"fmt"
	"net/http"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/fault"
)

// A client of a host behaves as if it ran there.
func ExampleHost_Client() {
	entra, err := fakeentra.New(fakeentra.WithSeed("example"))
	if err != nil {
		panic(err)
	}
	defer func() { _ = entra.Close() }()
	agent := entra.AddTenant("contoso").AddManagedIdentity("build-agent")
	vm := entra.AddHost("vm1", fakeentra.IMDS).Assign(agent)

	req, err := http.NewRequest("GET", "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net", nil)
	if err != nil {
		panic(err)
	}
	req.Header.Set("Metadata", "true")
	resp, err := vm.Client().Do(req)
	if err != nil {
		panic(err)
	}
	_ = resp.Body.Close()
	fmt.Println(resp.Status)
	fmt.Print(entra.Journal())
	// Output:
	// 200 OK
	// 1 imds.token 200 vm1 build-agent resource=https://vault.azure.net
}

// Faults are counted: these two requests fail, the third one does not.
func ExampleCloud_Inject() {
	entra, err := fakeentra.New()
	if err != nil {
		panic(err)
	}
	defer func() { _ = entra.Close() }()
	contoso := entra.AddTenant("contoso")
	laptop := entra.AddHost("laptop", fakeentra.NoSource)
	entra.Inject(fault.Rule{Name: "transient", Op: "sts.keys", Times: 2, Do: fault.Refuse("AADSTS90033")})
	for range 3 {
		resp, err := laptop.Client().Get(contoso.Authority() + "/discovery/v2.0/keys")
		if err != nil {
			panic(err)
		}
		_ = resp.Body.Close()
		fmt.Println(resp.StatusCode)
	}
	// Output:
	// 503
	// 503
	// 200
}
