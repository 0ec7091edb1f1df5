// Package fakeentra runs an offline stand-in for the parts of Microsoft Entra
// and Azure that take part in workload identity federation with managed
// identities: the managed identity endpoint of a host, the token endpoint of a
// tenant, and a Blob endpoint that honours the tokens.
//
//	func TestExport(t *testing.T) {
//		entra := fakeentra.Start(t)
//		contoso := entra.AddTenant("contoso")
//		agent := contoso.AddManagedIdentity("build-agent")
//		exporter := contoso.AddApplication("exporter").Trust(agent)
//		entra.AddStorageAccount("contosodata", contoso).
//			PutBlob("reports", "q1.csv", []byte("id,amount\n")).
//			Grant(exporter, fakeentra.StorageBlobDataReader)
//		vm := entra.AddHost("vm1", fakeentra.IMDS).Assign(agent)
//
//		got, err := export.Run(t.Context(), vm.Client()) // the code under test
//		...
//		t.Log(entra.Journal()) // what it asked for, and why each answer was given
//	}
//
// The code under test keeps its production URLs. A client obtained from a
// [Host] sends requests for 169.254.169.254, login.microsoftonline.com and
// *.blob.core.windows.net to this process, leaves loopback addresses alone and
// refuses every other name, so a test that would have left the machine fails
// instead.
//
// # Time
//
// A Cloud asks its clock for the time on every request and starts no timer of
// its own. With the default clock, a test run inside [testing/synctest.Test]
// sees tokens expire in virtual time.
//
// # Journal
//
// Every request is recorded together with the reason for its answer, which is
// never sent to the client. [Start] writes the journal to the log of a test
// that failed. Tokens, secrets and assertions are left out of what is printed.
//
// # What it is not
//
// The keys of a Cloud in a test are public, nothing is stored, and no attempt
// is made to be secure. Do not expose a Cloud to a network you do not own.
//
// # Mistakes
//
// Methods that build up a Cloud panic when they are misused, for instance when
// a name is taken. There is nothing a test could do about it but stop. Trouble
// at run time is an error, and trouble on the wire is a response.
package fakeentra
