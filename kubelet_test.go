package fakeentra_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/google/go-cmp/cmp"

	"github.com/fakeentra/fakeentra"
	"github.com/fakeentra/fakeentra/emulator/fault"
)

func TestATokenFileIsReplacedAtFourFifthsOfTheTokensLife(t *testing.T) {
	entra := fakeentra.Start(t)
	pod := entra.AddPod("pod", fakeentra.Pod{Cluster: entra.AddIssuer(clusterURL), Identity: entra.AddTenant("contoso").AddApplication("exporter")})
	file := value(pod.Variables(), "AZURE_FEDERATED_TOKEN_FILE")
	first := read(t, file)
	entra.Advance(47 * time.Minute)
	if read(t, file) != first {
		t.Error("after 47 minutes there is another token")
	}
	entra.Advance(time.Minute)
	second := read(t, file)
	if second == first {
		t.Error("after 48 minutes there is still the first token")
	}
	entra.Advance(3 * 24 * time.Hour)
	third := read(t, file)
	entra.Advance(-4 * 24 * time.Hour)
	if fourth := read(t, file); third == second || fourth == third {
		t.Error("moving the clock by days leaves the old token")
	}
	if value(pod.Variables(), "AZURE_FEDERATED_TOKEN_FILE") != file {
		t.Error("the file has another name")
	}
}

func TestATokenFileIsReplacedInRealTimeToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entra := fakeentra.Start(t)
		pod := entra.AddPod("pod", fakeentra.Pod{Cluster: entra.AddIssuer(clusterURL), Identity: entra.AddTenant("contoso").AddApplication("exporter")})
		file := value(pod.Variables(), "AZURE_FEDERATED_TOKEN_FILE")
		first := read(t, file)
		time.Sleep(48*time.Minute - time.Second)
		if read(t, file) != first {
			t.Error("there is another token too early")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		second := read(t, file)
		time.Sleep(48 * time.Minute)
		synctest.Wait()
		if second == first || read(t, file) == second {
			t.Error("the token was not replaced in time")
		}
	})
}

func TestATokenThatCannotBeHadLeavesTheOldOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entra := fakeentra.Start(t)
		pod := entra.AddPod("pod", fakeentra.Pod{Cluster: entra.AddIssuer(clusterURL), Identity: entra.AddTenant("contoso").AddApplication("exporter")})
		file := value(pod.Variables(), "AZURE_FEDERATED_TOKEN_FILE")
		first := read(t, file)
		entra.Inject(fault.Rule{Op: "kubernetes.token-request", Times: 1, Do: fault.Refuse("failed")})
		time.Sleep(48*time.Minute + 30*time.Second)
		synctest.Wait()
		if read(t, file) != first {
			t.Error("the file was replaced in spite of the fault")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if read(t, file) == first {
			t.Error("kubelet did not try again")
		}
	})
}

func TestTheFilesOfAPodAreItsOwnersAloneAndGoWithTheCloud(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("TMPDIR", folder)
	entra, err := fakeentra.New()
	if err != nil {
		t.Fatal(err)
	}
	agent := entra.AddTenant("contoso").AddManagedIdentity("agent")
	pod := entra.AddPod("pod", fakeentra.Pod{Cluster: entra.AddIssuer(clusterURL), Identity: agent, IdentityBinding: true})
	env := pod.Variables()
	for _, name := range []string{"AZURE_FEDERATED_TOKEN_FILE", "AZURE_KUBERNETES_CA_FILE"} {
		info, err := os.Stat(value(env, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	entra.Advance(time.Hour)
	entries, err := os.ReadDir(filepath.Dir(value(env, "AZURE_FEDERATED_TOKEN_FILE")))
	if err != nil || len(entries) != 3 {
		t.Errorf("%v, %v; want the link to the token, ..data and one folder", entries, err)
	}
	if err := entra.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(folder)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestAResetGivesPodsANewTokenAndTakesAwayThoseThatAreGone(t *testing.T) {
	entra := fakeentra.Start(t)
	pod := entra.AddPod("pod", fakeentra.Pod{Cluster: entra.AddIssuer(clusterURL), Identity: entra.AddTenant("contoso").AddApplication("exporter")})
	file := value(pod.Variables(), "AZURE_FEDERATED_TOKEN_FILE")
	if err := entra.Reset(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the token of a pod that is gone: %v", err)
	}
}

func TestMountsShowAPodWhatItFindsInAKS(t *testing.T) {
	entra := fakeentra.Start(t)
	agent := entra.AddTenant("contoso").AddManagedIdentity("agent")
	pod := entra.AddPod("pod", fakeentra.Pod{Cluster: entra.AddIssuer(clusterURL), Identity: agent, IdentityBinding: true})
	mounts, env := pod.Mounts(), pod.MountedVariables()
	seen := map[string]string{}
	for _, m := range mounts {
		seen[m.SeenAs] = m.Folder
	}
	for name, want := range map[string]string{"AZURE_FEDERATED_TOKEN_FILE": "/var/run/secrets/azure/wi/token/azure-identity-token", "AZURE_KUBERNETES_CA_FILE": "/var/run/secrets/azure/wi/ca-cert/ca.crt"} {
		folder := seen[filepath.Dir(want)]
		if got := value(env, name); got != want || read(t, filepath.Join(folder, filepath.Base(want))) != read(t, value(pod.Variables(), name)) {
			t.Errorf("%s is %s, want %s in one of %v", name, got, want, mounts)
		}
	}
	host := strings.TrimPrefix(value(env, "AZURE_KUBERNETES_TOKEN_PROXY"), "https://")
	if !entra.Knows(host) || !strings.HasSuffix(host, ".azmk8s.io") {
		t.Errorf("the token proxy is at %s, which the cloud does not answer for", host)
	}
	if vm := entra.AddHost("vm", fakeentra.IMDS); vm.Mounts() != nil || vm.MountedVariables() != nil {
		t.Errorf("a virtual machine has mounts %v and variables %v", vm.Mounts(), vm.MountedVariables())
	}
}

func TestTheTranscriptShowsHowOftenAnSDKReadsItsTokenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		entra := fakeentra.Start(t, fakeentra.WithTokenLifetimes(time.Hour, 6*time.Minute)) // so that every request below is an exchange
		exporter := entra.AddTenant("contoso").AddApplication("exporter")
		pod := entra.AddPod("pod", fakeentra.Pod{Cluster: entra.AddIssuer(clusterURL), Identity: exporter})
		exporter.TrustHost(pod)
		env := pod.Variables()
		cred, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: withTransport(pod), DisableInstanceDiscovery: true,
			ClientID: value(env, "AZURE_CLIENT_ID"), TenantID: value(env, "AZURE_TENANT_ID"), TokenFilePath: value(env, "AZURE_FEDERATED_TOKEN_FILE")})
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		var got []string
		for _, minute := range []time.Duration{0, 9, 40, 49, 51, 59, 62} {
			time.Sleep(minute*time.Minute + time.Second - time.Since(start))
			if _, err := cred.GetToken(t.Context(), policy.TokenRequestOptions{Scopes: []string{storageScope}}); err != nil {
				t.Fatal(err)
			}
			entries := entra.Journal().Of("sts.token").Entries
			var facts []string
			for _, f := range entries[len(entries)-1].Facts {
				if f.Key == "rotation" || f.Key == "age" {
					facts = append(facts, f.String())
				}
			}
			got = append(got, strings.Join(facts, " "))
		}
		want := []string{"rotation=1 age=0m", "rotation=1 age=9m", "rotation=1 age=40m", "rotation=1 age=49m", "rotation=2 age=3m", "rotation=2 age=11m", "rotation=2 age=14m"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("assertions at 0, 9, 40, 49, 51, 59 and 62 minutes (-want +got):\n%s", diff)
		}
	})
}
