package suite

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/conformance/driver"
	"github.com/fakeentra/fakeentra/conformance/internal/lab"
)

const (
	pageAppService = "https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference"
	sourceMSALGo   = "AzureAD/microsoft-authentication-library-for-go v1.10.1, apps/managedidentity"
)

// sourceChecks are about managed identity sources other than IMDS.
func sourceChecks() []*Check {
	return []*Check{
		{
			ID: "SRC-01", Level: Must, Tags: []string{"src"}, Title: "App Service is asked as its variables say",
			Requirement: "Where IDENTITY_ENDPOINT and IDENTITY_HEADER are set, that endpoint is asked, with GET, the header X-IDENTITY-HEADER, api-version 2019-08-01 or later, and the selector client_id, principal_id (or object_id) or mi_res_id.",
			Sources:     []string{pageAppService, sourceMSALGo},
			Provokes:    "A web app has two user-assigned identities and the system-assigned one.",
			Passes:      "every request has the header's value, such a version, and the one right selector or none; IMDS is not asked, and the client gets a token of that identity",
			Needs:       []driver.Capability{driver.AppService},
			Known:       []string{"azidentity before 0.13.2: not met, asks with 2017-09-01 (its changelog)"},
			Cases: []Case{
				inWebApp("client_id", driver.IdentityClientID, "client_id"),
				inWebApp("object_id", driver.IdentityObjectID, "object_id", "principal_id"),
				inWebApp("resource_id", driver.IdentityResourceID, "mi_res_id"),
				inWebApp("system", driver.IdentitySystem),
			},
		},
		{
			ID: "SRC-02", Level: Must, Tags: []string{"src", "sec"}, Title: "the secret of App Service is sent nowhere else",
			Requirement: "The value of IDENTITY_HEADER is for the endpoint of the environment: a redirect to another origin does not take it there.",
			Sources: []string{
				pageAppService, "https://github.com/Azure/azure-sdk-for-net/issues/62621",
				"https://github.com/Azure/azure-sdk-for-js/issues/39692", "https://github.com/Azure/azure-sdk-for-java/issues/50215",
			},
			Provokes: "The endpoint answers with a redirect to another host.",
			Passes:   "the redirect is not followed, or without the secret",
			Names:    true,
			Needs:    []driver.Capability{driver.AppService},
			Known:    []string{"azidentity 1.15.0: not met (observed)", "MSAL Go 1.10.1: not met (observed)", "@azure/msal-node 7.2.1: not met (observed)", "MSAL 1.39.0 for Python: not met (observed)"},
			Cases: at(fakeentra.AppService, redirects(func(s *Session, status int, location string) {
				s.Patience = time.Minute
				r := s.identityFault(0, lab.Redirect(status, location))
				s.Token()
				s.Armed(r)
				s.wantNoSecret("secret", lab.Trap, lab.Cleartext)
			})...),
		},
		sourceRotation(), sourcePrecedence(),
		{
			ID: "SRC-05", Level: Must, Tags: []string{"src"}, Title: "Azure ML is asked as its variables say",
			Requirement: "Where MSI_ENDPOINT and MSI_SECRET are set, that endpoint is asked, with the header secret, api-version 2017-09-01 and the selector clientid.",
			Sources:     []string{sourceMSALGo + "/azure_ml.go"},
			Provokes:    "A compute has two user-assigned identities and the system-assigned one; its environment names the first one as the default.",
			Passes:      "every request has the secret, that version and the configured identity; IMDS is not asked, and the client gets a token of that identity",
			Needs:       []driver.Capability{driver.AzureML, driver.IdentityClientID},
			Cases: at(fakeentra.AzureML, Case{Run: func(s *Session) {
				s.wantSelection("client_id", "clientid")
				for _, x := range s.endpointRequests() {
					s.wantValue("secret", "the secret of the environment", x.Header.Get("Secret"), s.variable("MSI_SECRET"))
					s.wantValue("version", "the api-version 2017-09-01", x.Query().Get("api-version"), "2017-09-01")
				}
				s.WantUntouched("imds", lab.IMDSToken, lab.IMDSOther)
			}}),
		},
		{
			ID: "SRC-06", Level: Must, Tags: []string{"src"}, Title: "Cloud Shell has its user's token and no other",
			Requirement: "Where MSI_ENDPOINT is set and MSI_SECRET is not, that endpoint is asked with POST, a form with the resource, and Metadata: true; with GET it answers, too. It cannot select an identity, so that one in the configuration is an error, and is not overlooked.",
			Sources: []string{
				sourceMSALGo + "/cloud_shell.go", "https://github.com/Azure/azure-sdk-for-python/issues/36438",
				"https://github.com/AzureAD/microsoft-authentication-library-for-python/issues/721", "Azure.Identity 1.13.0, its changelog",
			},
			Provokes: "A session of Cloud Shell, once without an identity and once with one in the configuration. It answers the former with a token for the exchange, which the real one does not have.",
			Passes:   "without an identity every request is such a one, and the client gets a token; with one the client fails before it asks",
			Needs:    []driver.Capability{driver.CloudShell},
			Known:    []string{"Azure.Identity before 1.13.0: not met (its changelog)", "azidentity before 1.8.0-beta.2: not met (its changelog)"},
			Cases: at(fakeentra.CloudShell,
				Case{Name: "the user", Needs: []driver.Capability{driver.IdentitySystem}, Run: func(s *Session) {
					s.Config.Identity = driver.Identity{Kind: "system"}
					s.identityFault(0, func(*lab.Exchange, func() *lab.Answer) *lab.Answer { return s.identityAnswer(time.Hour) })
					got := s.Token()
					for _, x := range s.endpointRequests() {
						parameters := x.Query()
						if x.Method == http.MethodPost {
							parameters = x.Form()
						}
						s.Want("resource", slices.Equal(parameters["resource"], []string{s.Config.Audience}), "the resource "+s.Config.Audience, "%q", parameters)
						s.wantValue("header", "the header Metadata: true", x.Header.Get("Metadata"), "true")
					}
					s.WantToken(got)
				}},
				Case{Name: "an identity", Needs: []driver.Capability{driver.IdentityClientID}, Run: func(s *Session) { s.wantUnasked() }},
			),
		},
		arcChallenge(), arcFolder(), arcFile(), arcLink(), arcOddChallenge(), arcOlderAgent(), arcEmptyBody(),
		fabricPin(), fabricStranger(), fabricScheme(),
		sourceTokenFile(),
		{
			ID: "SRC-18", Level: Must, Tags: []string{"src"}, Title: "Service Fabric cannot select an identity",
			Requirement: "Which identity an application has is a matter of the cluster, so that one in the configuration is an error, and is not overlooked.",
			Sources:     []string{sourceMSALGo + "/servicefabric.go", "azidentity 1.8.0-beta.2, its changelog", "Azure.Identity 1.13.0, its changelog"},
			Provokes:    "The client is configured with a user-assigned identity. The endpoint's certificate is one that clients trust, so that not knowing thumbprints does not look like knowing identities.",
			Passes:      "the client fails before it asks",
			Needs:       []driver.Capability{driver.ServiceFabric},
			Known:       []string{"MSAL 1.39.0 for Python, MSAL4J 1.26.0, @azure/msal-node 7.2.1: not met (observed)", "azidentity before 1.8.0, azure-identity for Python before 1.22.0: not met (observed)", "Azure.Identity before 1.13.0: not met (its changelog)"},
			Cases: at(fakeentra.ServiceFabric,
				Case{Name: "client_id", Needs: []driver.Capability{driver.IdentityClientID}, Run: func(s *Session) {
					s.VouchEndpoint()
					s.wantUnasked()
				}},
				Case{Name: "resource_id", Needs: []driver.Capability{driver.IdentityResourceID}, Run: func(s *Session) {
					s.VouchEndpoint()
					s.Config.Identity = identityOf(s.Agent, "resource_id")
					s.wantUnasked()
				}},
			),
		},
	}
}

// at puts cases at a source.
func at(source fakeentra.Source, cases ...Case) []Case {
	for i := range cases {
		cases[i].Fixture = func(f *lab.Fixture) { f.Source = source }
	}
	return cases
}

// endpointRequests returns the requests for a token to the endpoint of the source.
// A driver that says that it is capable of the source is expected to send some.
func (s *Session) endpointRequests() []*lab.Exchange {
	seen := s.Exchanges(lab.EndpointToken)
	s.Want("asked", len(seen) > 0, "a request to the endpoint of the environment", "%d", len(seen))
	return seen
}

// knocked reports whether a client began a TLS connection to the endpoint of Service
// Fabric, which some cannot finish.
func (s *Session) knocked() bool {
	return s.Pinned() && slices.ContainsFunc(s.Hellos(), func(h lab.Hello) bool { return h.ServerName == "localhost" || h.ServerName == "" })
}

// variable returns a variable of the client's place.
func (s *Session) variable(name string) string {
	for _, v := range s.Host.Variables() {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// wantValue expects something to have one value. Neither is shown, if it is a
// secret.
func (s *Session) wantValue(name, what, got, want string) {
	s.Want(name, got == want, what, "%q", got)
}

// wantUnasked expects a client to fail without a request for a token of a managed
// identity.
func (s *Session) wantUnasked() {
	got := s.Token()
	s.WantUntouched("unasked", lab.EndpointToken, lab.IMDSToken)
	s.WantError(got)
}

// inWebApp is a case at App Service. names are the parameters that may select the
// identity.
func inWebApp(kind string, need driver.Capability, names ...string) Case {
	return at(fakeentra.AppService, Case{Name: kind, Needs: []driver.Capability{need}, Run: func(s *Session) {
		if kind == "system" {
			s.Config.Identity = driver.Identity{Kind: "system"}
			s.WantToken(s.Token())
		} else {
			s.wantSelection(kind, names...)
		}
		if kind != "client_id" && len(s.Exchanges(lab.EndpointToken, lab.IMDSToken)) == 0 {
			s.Skip("the client asks nobody where an identity is configured by " + kind)
		}
		for _, x := range s.endpointRequests() {
			s.Want("method", x.Method == http.MethodGet, "GET", "%s", x.Method)
			s.wantValue("header", "the value of IDENTITY_HEADER in X-IDENTITY-HEADER", x.Header.Get("X-Identity-Header"), s.variable("IDENTITY_HEADER"))
			version := x.Query().Get("api-version")
			s.Want("version", dateFrom(version, "2019-08-01"), "an api-version of 2019-08-01 or later", "%q", version)
			if kind == "system" {
				sent := selectorsOf(x)
				s.Want("selector", len(sent) == 0, "no selector", "%q", sent)
			}
		}
		s.WantUntouched("imds", lab.IMDSToken, lab.IMDSOther)
	}})[0]
}

func sourceRotation() *Check {
	return &Check{
		ID: "SRC-03", Level: Should, Tags: []string{"src"}, Title: "variables of App Service that change are read together",
		Requirement: "The platform may change IDENTITY_ENDPOINT and IDENTITY_HEADER. A client asks with the new pair, or fails with the old one, but never sends one's secret to the other's endpoint. That they change while a process runs is inferred from the page, which says that the value is rotated.",
		Sources:     []string{pageAppService},
		Provokes:    "Both variables change between two exchanges, after the token of the managed identity has ended. The endpoint refuses the old secret then.",
		Passes:      "the requests afterwards have both values of one pair; IMDS is not asked",
		Cost:        Timed, Needs: []driver.Capability{driver.AppService, driver.SetEnv},
		Cases: []Case{{
			Fixture: func(f *lab.Fixture) { f.Source, f.ManagedIdentityLife = fakeentra.AppService, 6*time.Second },
			Run: func(s *Session) {
				const path, header = "/msi/rotated", "a-secret-that-came-later"
				s.Secret("IDENTITY_HEADER", header)
				s.WantToken(s.Token())
				before := len(s.Reached(lab.EndpointToken))
				s.Pause(7 * time.Second)
				s.SetEnv(map[string]string{"IDENTITY_ENDPOINT": s.Host.Source().Origin() + path, "IDENTITY_HEADER": header})
				s.identityFault(0, func(x *lab.Exchange, _ func() *lab.Answer) *lab.Answer {
					if x.Header.Get("X-Identity-Header") != header {
						return &lab.Answer{Status: http.StatusForbidden, Header: http.Header{}}
					}
					return s.identityAnswer(time.Hour)
				})
				s.Ask(driver.TokenRequest{Scopes: []string{otherScope}})
				after := s.Exchanges(lab.EndpointToken)[before:]
				s.Proven(len(after) > 0, "another request for a token of the managed identity")
				for _, x := range after {
					endpoint, secret := age(x.URL.Path == path), age(x.Header.Get("X-Identity-Header") == header)
					s.Want("pair", endpoint == secret, "an endpoint and a secret that belong together", "the %s endpoint with the %s secret", endpoint, secret)
				}
				s.WantUntouched("imds", lab.IMDSToken, lab.IMDSOther)
			},
		}},
	}
}

func age(recent bool) string {
	if recent {
		return "new"
	}
	return "old"
}

// decoy begins the paths of endpoints that are not to be asked.
const decoy = "/decoy/"

func sourcePrecedence() *Check {
	has := func(header string) func(*lab.Exchange) bool {
		return func(x *lab.Exchange) bool { return x.Header.Get(header) != "" }
	}
	older := []string{"MSI_ENDPOINT", "MSI_SECRET"}
	return &Check{
		ID: "SRC-04", Level: Must, Tags: []string{"src"}, Title: "of several sources the right one is asked",
		Requirement: "Each source is told from the others by its variables. Service Fabric and App Service may set those of their older protocol as well, which are not asked then.",
		Sources:     []string{sourceMSALGo + ", GetSource", "https://github.com/AzureAD/microsoft-authentication-library-for-dotnet/issues/5077"},
		Provokes:    "The variables of each source are set; of the two, also MSI_ENDPOINT and MSI_SECRET with another endpoint. What no place sets at once, such as those of Cloud Shell and of Azure Arc, is not tried.",
		Passes:      "only that source is asked, and in its way",
		Known:       []string{"MSAL.NET 4.67: not met, takes Azure ML before App Service (reported)"},
		Cases: []Case{
			precedence("Service Fabric", fakeentra.ServiceFabric, driver.ServiceFabric, has("Secret"), older...),
			precedence("App Service", fakeentra.AppService, driver.AppService, has("X-Identity-Header"), older...),
			precedence("Azure ML", fakeentra.AzureML, driver.AzureML, has("Secret")),
			precedence("Cloud Shell", fakeentra.CloudShell, driver.CloudShell, has("Metadata")),
			precedence("Azure Arc", fakeentra.Arc, driver.Arc, has("Metadata")),
		},
	}
}

// precedence is a case at a source with the variables of further ones. own tells
// requests in the way of the source from others.
func precedence(name string, source fakeentra.Source, need driver.Capability, own func(*lab.Exchange) bool, more ...string) Case {
	return at(source, Case{Name: name, Needs: []driver.Capability{need, driver.IdentitySystem}, Run: func(s *Session) {
		s.Config.Identity = driver.Identity{Kind: "system"}
		s.Patience = time.Minute
		for _, name := range more {
			value := s.Host.Source().Origin() + decoy + strings.ToLower(name)
			if name == "MSI_SECRET" {
				value = "the-secret-of-another-source"
			}
			s.Environ = append(s.Environ, name+"="+value)
		}
		s.VouchEndpoint() // clients that do not look at its thumbprint are for SRC-14
		s.Token()
		s.endpointRequests()
		for _, x := range s.Exchanges(lab.EndpointToken) {
			right := !strings.HasPrefix(x.URL.Path, decoy) && own(x)
			s.Want("source", right, "a request in the way of "+name, "%s %s", x.Method, shorten(x.URL.Redacted(), 120))
		}
		s.WantUntouched("imds", lab.IMDSToken, lab.IMDSOther)
	}})[0]
}

// podToken is where a pod has its token.
const podToken = "/var/run/secrets/azure/tokens/azure-identity-token"

func sourceTokenFile() *Check {
	return &Check{
		ID: "SRC-17", Level: May, Tags: []string{"src"}, Title: "the token of a pod is read again",
		Requirement: "The kubelet replaces the file that AZURE_FEDERATED_TOKEN_FILE names. A client that reads it for each exchange, or when it has changed, misses nothing; to read it every five minutes is enough by Kubernetes' page.",
		Sources:     []string{"https://azure.github.io/azure-workload-identity/docs/topics/service-account-labels-and-annotations.html", "https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#launch-a-pod-using-service-account-token-projection"},
		Provokes:    "The file is replaced between two exchanges.",
		Passes:      "the second exchange carries the new content",
		Cost:        Timed, Needs: []driver.Capability{driver.TokenFile},
		Known: []string{"azidentity 1.15.0 and @azure/identity 4.14.1, where their workload identity credential is used: not met, they read the file again after 10 and 5 minutes (read in their source)"},
		Cases: at(fakeentra.AKS, Case{Run: func(s *Session) {
			first, second := s.Assertion(s.Agent, time.Hour), s.Assertion(s.Agent, time.Hour)
			s.Files = map[string]string{podToken: first}
			s.Environ = append(s.Environ, "AZURE_FEDERATED_TOKEN_FILE="+podToken, "AZURE_TENANT_ID="+s.Config.Tenant, "AZURE_CLIENT_ID="+s.Config.AppClientID,
				fmt.Sprintf("AZURE_AUTHORITY_HOST=https://%s/", s.Environment.LoginHost))
			s.WantToken(s.Token())
			before := len(s.Reached(lab.Token))
			s.Rewrite(podToken, second)
			s.Pause(3 * time.Second)
			s.WantToken(s.Ask(driver.TokenRequest{Scopes: []string{otherScope}}))
			after := s.Exchanges(lab.Token)[before:]
			s.Proven(len(after) > 0, "a second exchange")
			for _, x := range after {
				sent := x.Form().Get("client_assertion")
				s.Want("content", strings.TrimSpace(sent) == second, "the new content of the file", "%s", map[bool]string{true: "the old one", false: "something else"}[sent == first])
			}
		}}),
	}
}

// Rewrite replaces one of the Files.
func (s *Session) Rewrite(name, content string) {
	s.start()
	if err := s.stage.Write(name, content); err != nil {
		panic(ended{Error, err.Error()})
	}
}
