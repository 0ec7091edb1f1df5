package runner

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/fakeentra/fakeentra/internal/edge"
	"github.com/fakeentra/fakeentra/internal/ident"
	"github.com/fakeentra/fakeentra/internal/pattern"
)

// A PipelinesJob is a job of Azure Pipelines that refers to a service connection
// with workload identity federation, and that maps System.AccessToken to the
// variable SYSTEM_ACCESSTOKEN, as pipelines have to. Host, Issuer, Organization,
// Project and ServiceConnection must be set.
type PipelinesJob struct {
	Host              string // the emulated host it runs on
	Issuer            Issuer // https://vstoken.dev.azure.com/<organization ID>, or the v2.0 issuer of a tenant
	Organization      string
	Project           string
	Pipeline          string // name; that of the project if empty
	ServiceConnection string // name
	TenantID          string // of the service connection
	ClientID          string // of what the service connection signs in as
}

// entra reports whether Entra issues the tokens of the service connection, as
// for those created since November 2025 (Microsoft: "Convert service connections
// to use the Microsoft Entra issuer").
func (j PipelinesJob) entra() bool { return strings.HasSuffix(j.Issuer.URL, "/v2.0") }

var devOpsName = pattern.New(`^[^/?#%\\:*"<>|\x00-\x1f]+$`)

// AddPipelines adds a job. It fails when the host runs one already, and when a
// name could not be of Azure DevOps.
func (s *Service) AddPipelines(j PipelinesJob) error {
	j.Pipeline = cmp.Or(j.Pipeline, j.Project)
	for what, name := range map[string]string{"organization": j.Organization, "project": j.Project, "service connection": j.ServiceConnection, "pipeline": j.Pipeline} {
		if !devOpsName.MatchString(name) {
			return fmt.Errorf("host %q: %q is not the name of a %s; expected one without slashes and the characters that Azure DevOps forbids", j.Host, name, what)
		}
	}
	if j.entra() && !ident.IsGUID(j.TenantID) {
		return fmt.Errorf("host %q: %q is not a tenant ID; the subject of tokens that Entra issues is made of one", j.Host, j.TenantID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.checkHost(j.Host, j.Issuer); err != nil {
		return err
	}
	s.pipelineJobs[j.Host] = j
	return nil
}

// devOpsApp is the client ID of Azure DevOps in every tenant.
const devOpsApp = "499b84ac-1321-427f-aa17-267ca6975798"

// exchangeApp is the aud claim of tokens that Entra issues for the exchange.
const exchangeApp = "fb60f99c-7a34-4190-8149-302f77469936"

// exchangeAudience is the aud claim of all other tokens; none can be asked for.
const exchangeAudience = "api://AzureADTokenExchange"

// subject returns the sub claim of the service connection's tokens (Microsoft:
// "Troubleshoot an Azure Resource Manager workload identity service connection",
// which calls all but the last two parts of the form of Entra the prefix).
func (j PipelinesJob) subject(seed string) string {
	if j.entra() {
		return "/eid1/c/pub/t/" + ident.Packed(j.TenantID) + "/a/" + ident.Packed(devOpsApp) + "/sc/" + j.organizationID(seed) + "/" + j.connectionID(seed)
	}
	return "sc://" + j.Organization + "/" + j.Project + "/" + j.ServiceConnection
}

// organizationID is in the issuer of the organization, if that is the one. With
// the issuer of a tenant it is approximate: the real one is not known here, so it
// is derived from the name, and so is that part of the subject.
func (j PipelinesJob) organizationID(seed string) string {
	u, err := url.Parse(j.Issuer.URL)
	if id := ""; err == nil && u.Hostname() == "vstoken.dev.azure.com" {
		if id = strings.Trim(u.Path, "/"); id != "" {
			return id
		}
	}
	return guid(seed, "organization", j.Organization)
}

func (j PipelinesJob) projectID(seed string) string {
	return guid(seed, "project", j.Organization, j.Project)
}

func (j PipelinesJob) connectionID(seed string) string {
	return guid(seed, "service connection", j.Organization, j.Project, j.ServiceConnection)
}

// pipelinesLifetime and pipelinesBackdated are those of recorded tokens
// (gravitational/teleport rfd/0211-azure-devops-join.md). How long tokens live
// that Entra issues for service connections is not documented: entraLifetime and
// entraBackdated are approximate, those of Entra's tokens for applications.
const (
	pipelinesLifetime  = 5 * time.Minute
	pipelinesBackdated = 10 * time.Minute
	entraLifetime      = time.Hour
	entraBackdated     = 5 * time.Minute
)

// claims returns the claims of a token of the service connection.
func (j PipelinesJob) claims(seed, requestID string, now time.Time) map[string]any {
	if j.entra() {
		return j.entraClaims(seed, requestID, now)
	}
	return map[string]any{
		"jti": guid(seed, "jti", requestID), "sub": j.subject(seed), "aud": exchangeAudience, "iss": j.Issuer.URL,
		"iat": now.Unix(), "nbf": now.Add(-pipelinesBackdated).Unix(), "exp": now.Add(pipelinesLifetime).Unix(),
	}
}

// entraClaims are those of a token that an application gets for a path below
// itself (fmi_path), of which Microsoft documents the subject alone; the other
// claims are approximate.
func (j PipelinesJob) entraClaims(seed, requestID string, now time.Time) map[string]any {
	issued := now.Add(-entraBackdated).Unix()
	return map[string]any{
		"aud": exchangeApp, "iss": j.Issuer.URL, "iat": issued, "nbf": issued, "exp": now.Add(entraLifetime).Unix(),
		"azp": devOpsApp, "azpacr": "2", "idtyp": "app", "oid": guid(seed, "Azure DevOps", j.TenantID),
		"sub": j.subject(seed), "tid": j.TenantID, "uti": ident.Packed(requestID), "ver": "2.0",
	}
}

// pipelineClaims returns the claims of a token of the pipeline itself, which a
// request gets that names no service connection. Azure DevOps issues it even
// where Entra issues those of service connections; this cloud has one issuer for
// the job, so it refuses then.
func (j PipelinesJob) pipelineClaims(seed, requestID string, now time.Time) map[string]any {
	c := j.claims(seed, requestID, now)
	for name, value := range map[string]any{
		"sub":    "p://" + j.Organization + "/" + j.Project + "/" + j.Pipeline,
		"org_id": j.organizationID(seed), "prj_id": j.projectID(seed), "def_id": "1",
		"rpo_id": guid(seed, "repository", j.Organization, j.Project), "rpo_uri": j.collection() + j.Project + "/_git/" + j.Project,
		"rpo_ver": commit(seed, j.Organization, j.Project), "rpo_ref": "refs/heads/main", "run_id": "1",
	} {
		c[name] = value
	}
	return c
}

func (j PipelinesJob) collection() string {
	return "https://" + pipelinesHost + "/" + url.PathEscape(j.Organization) + "/"
}

// requestURI returns where the job asks for tokens.
func (j PipelinesJob) requestURI(seed string) string {
	return j.collection() + j.projectID(seed) + "/_apis/distributedtask/hubs/build/plans/" + guid(seed, "plan", j.Host) + "/jobs/" + guid(seed, "job", j.Host) + "/oidctoken"
}

func (j PipelinesJob) accessToken(seed string) string { return secret(seed, "pipelines", j.Host) }

// variables returns what the agent sets besides what is about files and folders
// (variables), and what the tasks AzureCLI@2 and AzurePowerShell@5 say about
// their service connection.
func (j PipelinesJob) variables(seed string) []string {
	return []string{
		"TF_BUILD=True", "SYSTEM=build", "SYSTEM_HOSTTYPE=build", "SYSTEM_SERVERTYPE=Hosted",
		"SYSTEM_OIDCREQUESTURI=" + j.requestURI(seed), "SYSTEM_ACCESSTOKEN=" + j.accessToken(seed),
		"SYSTEM_COLLECTIONURI=" + j.collection(), "SYSTEM_TEAMFOUNDATIONCOLLECTIONURI=" + j.collection(), "SYSTEM_TEAMFOUNDATIONSERVERURI=" + j.collection(),
		"SYSTEM_COLLECTIONID=" + j.organizationID(seed), "SYSTEM_TEAMPROJECT=" + j.Project, "SYSTEM_TEAMPROJECTID=" + j.projectID(seed),
		"SYSTEM_PLANID=" + guid(seed, "plan", j.Host), "SYSTEM_JOBID=" + guid(seed, "job", j.Host),
		"SYSTEM_DEFINITIONID=1", "SYSTEM_DEFINITIONNAME=" + j.Pipeline, "SYSTEM_STAGENAME=" + stageName, "SYSTEM_JOBNAME=" + jobName,
		"BUILD_BUILDID=1", "BUILD_DEFINITIONNAME=" + j.Pipeline, "BUILD_REASON=IndividualCI", "BUILD_SOURCEBRANCH=refs/heads/main", "BUILD_SOURCEBRANCHNAME=main",
		"BUILD_REPOSITORY_NAME=" + j.Project, "BUILD_SOURCEVERSION=" + commit(seed, j.Organization, j.Project),
		"AZURESUBSCRIPTION_SERVICE_CONNECTION_ID=" + j.connectionID(seed), "AZURESUBSCRIPTION_CLIENT_ID=" + j.ClientID, "AZURESUBSCRIPTION_TENANT_ID=" + j.TenantID,
	}
}

// The names of stages and jobs that a pipeline does not name.
const (
	stageName = "__default"
	jobName   = "Job"
)

func (s *Service) pipelinesToken(r *edge.Request) edge.Response {
	j, ok := s.pipelinesJobAt(r)
	if !ok {
		return refuse(r, because("pipelines-not-found", "no job of this cloud asks at %s; the address of one is in its variable SYSTEM_OIDCREQUESTURI", r.URL.Path))
	}
	r.Note("", j.Organization+"/"+j.Project)
	claims, no := j.check(s.seed, r)
	if no != nil {
		return refuse(r, no)
	}
	r.Note("subject", fmt.Sprint(claims["sub"]))
	resp := s.issue(r, j.Issuer, claims, func(token string) any {
		return struct {
			Token string `json:"oidcToken"`
		}{token}
	})
	dress(r, resp.Header)
	return resp
}

// pipelinesJobAt finds a job by its plan and its own identifier, which are
// unique; the names before them can be names or identifiers in Azure DevOps.
func (s *Service) pipelinesJobAt(r *edge.Request) (PipelinesJob, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for host, j := range s.pipelineJobs {
		if strings.EqualFold(r.Vars["plan"], guid(s.seed, "plan", host)) && strings.EqualFold(r.Vars["job"], guid(s.seed, "job", host)) && j.calls(s.seed, r.Vars) {
			return j, true
		}
	}
	return PipelinesJob{}, false
}

// calls reports whether a path names the job's organization and project.
func (j PipelinesJob) calls(seed string, vars edge.Vars) bool {
	return strings.EqualFold(vars["organization"], j.Organization) && strings.EqualFold(vars["hub"], "build") &&
		(strings.EqualFold(vars["project"], j.projectID(seed)) || strings.EqualFold(vars["project"], j.Project))
}

// check returns the claims of the token that a request asks for.
func (j PipelinesJob) check(seed string, r *edge.Request) (map[string]any, *refusal) {
	if no := authorized(r, "pipelines-unauthorized", "SYSTEM_ACCESSTOKEN", j.accessToken(seed)); no != nil {
		if !strings.EqualFold(r.Header.Get("X-TFS-FedAuthRedirect"), "Suppress") {
			no.row = "pipelines-sign-in"
			no.why += "; without X-TFS-FedAuthRedirect: Suppress the answer is a redirection"
		}
		return nil, no
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, because("pipelines-query", "the query %q cannot be read: %v", r.URL.RawQuery, err)
	}
	if no := checkVersion(cmp.Or(query.Get("api-version"), acceptedVersion(r.Header.Get("Accept")))); no != nil {
		return nil, no
	}
	id := query.Get("serviceConnectionId")
	switch {
	case id == "" && j.entra():
		return nil, because("pipelines-connection", "the request names no service connection, and this cloud has no issuer of Azure DevOps for the job's own token; expected serviceConnectionId=%s", j.connectionID(seed)).with("id", "")
	case id == "":
		return j.pipelineClaims(seed, r.ID, r.Now), nil
	case !strings.EqualFold(id, j.connectionID(seed)):
		return nil, because("pipelines-connection", "the job refers to the service connection %s (%s) alone, and the request names %s", j.connectionID(seed), j.ServiceConnection, id).with("id", id)
	}
	return j.claims(seed, r.ID, r.Now), nil
}

// acceptedVersion returns the api-version of an Accept header, the other place
// where Azure DevOps looks for it.
func acceptedVersion(accept string) string {
	_, version, _ := strings.Cut(accept, "api-version=")
	version, _, _ = strings.Cut(version, ";")
	version, _, _ = strings.Cut(version, ",")
	return strings.TrimSpace(version)
}

var versionText = pattern.New(`^([0-9]{1,3}\.[0-9]{1,3})(-preview(\.[0-9]{1,3})?)?$`)

// checkVersion refuses versions in which there is no such resource. Which older
// ones there are is not documented; that 7.1 came without preview is in the
// history of the SDKs (Azure/azure-sdk-for-js#29854).
func checkVersion(version string) *refusal {
	m := versionText.FindStringSubmatch(version)
	switch {
	case version == "":
		return because("pipelines-version-missing", "the request names no version; expected ?api-version=7.1")
	case m == nil:
		return because("pipelines-version-range", "api-version is %q; expected 7.1", version).with("version", version)
	case m[1] == "7.1" || m[1] == "7.2":
		return nil
	case newer(m[1]):
		return because("pipelines-version-range", "api-version is %q; expected 7.1", version).with("version", version)
	case m[2] == "":
		return because("pipelines-version-preview", "api-version is %q, in which the resource is under preview; expected 7.1", version).with("version", version)
	}
	return nil
}

// newer reports whether a version is above 7.2.
func newer(version string) bool {
	var major, minor int
	_, err := fmt.Sscanf(version, "%d.%d", &major, &minor)
	return err != nil || major > 7 || (major == 7 && minor > 2)
}
