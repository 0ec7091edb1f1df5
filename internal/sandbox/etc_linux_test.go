package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHostNamesAreAMatterOfTheHostsFileAndDNS(t *testing.T) {
	for before, after := range map[string]string{
		"":                                 "\nhosts:\tfiles dns\n",
		"passwd: files sss\n":              "passwd: files sss\nhosts:\tfiles dns\n",
		"a: b\nhosts: files resolve\n\n#c": "a: b\n\n#c\nhosts:\tfiles dns\n",
		" hosts:\tmyhostname dns\nhosts:":  "\nhosts:\tfiles dns\n",
	} {
		if got := string(hostsByDNS([]byte(before))); got != after {
			t.Errorf("of %q is made %q, want %q", before, got, after)
		}
	}
}

// A Java of a distribution reads what is in /etc. Others must be told, and say
// so on standard error.
func TestJavaIsToldWhereTheCertificatesAreIfItMustBe(t *testing.T) {
	options := "-Djavax.net.ssl.trustStore=/store -Djavax.net.ssl.trustStorePassword=changeit -Djavax.net.ssl.trustStoreType=JKS"
	own, debian, old := t.TempDir(), t.TempDir(), t.TempDir()
	for _, file := range []string{own + "/lib/security/cacerts", old + "/jre/lib/security/cacerts", old + "/bin/java"} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(cacertsFile); err == nil {
		if err := os.MkdirAll(debian+"/lib/security", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(cacertsFile, debian+"/lib/security/cacerts"); err != nil {
			t.Fatal(err)
		}
		if got := javaOptions(debian, nil, "/store"); got != nil {
			t.Errorf("Debian's Java is told: %q", got)
		}
	}
	for name, c := range map[string]struct{ env, want []string }{
		"without Java":      {[]string{"PATH=/nowhere"}, nil},
		"by JAVA_HOME":      {[]string{"JAVA_HOME=/nowhere", "JAVA_HOME=" + own}, []string{"JAVA_TOOL_OPTIONS=" + options}},
		"by PATH":           {[]string{"PATH=/nowhere:" + old + "/bin"}, []string{"JAVA_TOOL_OPTIONS=" + options}},
		"with more options": {[]string{"JAVA_HOME=" + own, "JAVA_TOOL_OPTIONS=-Xmx1g"}, []string{"JAVA_TOOL_OPTIONS=-Xmx1g " + options}},
	} {
		if diff := cmp.Diff(c.want, javaOptions(javaHome(c.env), c.env, "/store")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
