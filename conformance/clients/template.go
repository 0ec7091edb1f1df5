// Package clients has a driver for each SDK that the conformance suite is tried
// with. They are also what drivers for others begin as.
package clients

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

//go:embed fcd.py fcd.mjs java/Fcd.java bash-curl/driver.sh
//go:embed go-azidentity/main.go node-azure-identity/driver.mjs node-azure-identity/package.json
//go:embed python-azure-identity/driver.py python-azure-identity/requirements.txt
//go:embed dotnet/Fcd.cs dotnet-azure-identity/Driver.cs dotnet-azure-identity/Driver.csproj
//go:embed java-azure-identity/pom.xml java-azure-identity/src rust-azure-identity/Cargo.toml rust-azure-identity/src
var drivers embed.FS

// A Template is a driver to begin with.
type Template struct {
	// Files are the contents of the driver's files, by their names in its folder.
	Files map[string]string
	// Scripts are those of them that are executable.
	Scripts []string
	// Install has the commands, in the driver's folder, that make it run.
	Install []string
	// Command starts it, in its folder.
	Command []string
	// Ignored are files that belong in no repository.
	Ignored []string
}

// A source says which files of the package a template is made of, and what has to
// be replaced in them, since there they are in other folders.
type source struct {
	files   map[string]string // of the package, by names in the template
	replace []string          // pairs
	Template
}

var sources = map[string]source{
	"dotnet": {
		files:    map[string]string{"Driver.cs": "dotnet-azure-identity/Driver.cs", "Driver.csproj": "dotnet-azure-identity/Driver.csproj", "Fcd.cs": "dotnet/Fcd.cs"},
		replace:  []string{"    <Compile Include=\"../dotnet/Fcd.cs\" />\n", ""},
		Template: Template{Install: []string{"dotnet build --configuration Release"}, Command: []string{"dotnet", "bin/Release/net8.0/Driver.dll"}, Ignored: []string{"bin/", "obj/"}},
	},
	"go": {
		files:    map[string]string{"main.go": "go-azidentity/main.go"},
		Template: Template{Install: []string{"go mod tidy", "go build -o driver ."}, Command: []string{"./driver"}, Ignored: []string{"driver"}},
	},
	"node": {
		files:    map[string]string{"driver.mjs": "node-azure-identity/driver.mjs", "fcd.mjs": "fcd.mjs", "package.json": "node-azure-identity/package.json"},
		replace:  []string{`"../fcd.mjs"`, `"./fcd.mjs"`, "fakeentra-conformance-node-azure-identity", "conformance-driver"},
		Template: Template{Install: []string{"npm install"}, Command: []string{"node", "driver.mjs"}, Ignored: []string{"node_modules/"}},
	},
	"python": {
		files:   map[string]string{"driver.py": "python-azure-identity/driver.py", "fcd.py": "fcd.py", "requirements.txt": "python-azure-identity/requirements.txt"},
		replace: []string{"from pathlib import Path\n", "", "sys.path.append(str(Path(__file__).resolve().parent.parent))\nimport fcd  # noqa: E402", "import fcd"},
		Template: Template{
			Install: []string{"python3 -m venv .venv", ".venv/bin/pip install --requirement requirements.txt"},
			Command: []string{".venv/bin/python", "driver.py"}, Ignored: []string{".venv/", "__pycache__/"},
		},
	},
	"java": {
		files:    map[string]string{"pom.xml": "java-azure-identity/pom.xml", "src/main/java/Driver.java": "java-azure-identity/src/main/java/Driver.java", "src/main/java/Fcd.java": "java/Fcd.java"},
		Template: Template{Install: []string{"mvn --quiet package"}, Command: []string{"java", "-cp", "target/classes:target/lib/*", "Driver"}, Ignored: []string{"target/"}},
	},
	"rust": {
		files:    map[string]string{"Cargo.toml": "rust-azure-identity/Cargo.toml", "src/main.rs": "rust-azure-identity/src/main.rs"},
		Template: Template{Install: []string{"cargo build --release"}, Command: []string{"target/release/conformance-driver"}, Ignored: []string{"target/"}},
	},
	"sh": {
		files:    map[string]string{"driver.sh": "bash-curl/driver.sh"},
		Template: Template{Scripts: []string{"driver.sh"}, Command: []string{"./driver.sh"}},
	},
}

// Languages are those that there is a template for.
func Languages() []string { return slices.Sorted(maps.Keys(sources)) }

// New returns the template for a language. It fails for one that there is none for.
func New(language string) (Template, error) {
	s, ok := sources[language]
	if !ok {
		return Template{}, fmt.Errorf("there is no driver for %q to begin with; expected one of %s", language, strings.Join(Languages(), ", "))
	}
	t := s.Template
	t.Files = map[string]string{}
	for name, file := range s.files {
		content, err := drivers.ReadFile(file)
		if err != nil {
			return Template{}, err
		}
		t.Files[name] = strings.NewReplacer(s.replace...).Replace(string(content))
	}
	if language == "java" {
		t.Files["pom.xml"] = withoutHelper(t.Files["pom.xml"])
	}
	if language == "go" {
		t.Files["go.mod"] = "module conformance-driver\n\ngo 1.26\n"
	}
	return t, nil
}

// withoutHelper takes the plugin away that adds the folder of Fcd.java.
func withoutHelper(pom string) string {
	const plugin = "      <plugin>\n        <groupId>org.codehaus.mojo</groupId>"
	before, after, found := strings.Cut(pom, plugin)
	if !found {
		return pom
	}
	_, after, _ = strings.Cut(after, "      </plugin>\n")
	return before + after
}
