package image

import (
	"context"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"hoopy/build/apk"
)

// SBOM lists the packages and Go modules of the image as an SPDX 2.3 document
// in JSON (https://spdx.github.io/spdx-spec/v2.3/). The same image gives the
// same text: its time is that of the newest package.
func SBOM(ctx context.Context, o Options) ([]byte, error) {
	b, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	s, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	pkgs, lock, err := b.resolve(ctx, s)
	if err != nil {
		return nil, err
	}
	programs := b.compile(ctx)
	<-programs.done
	if programs.err != nil {
		return nil, programs.err
	}
	modules, err := goModules(programs.files)
	if err != nil {
		return nil, err
	}
	d := spdx{
		Version: "SPDX-2.3", License: "CC0-1.0", ID: "SPDXRef-DOCUMENT",
		Name:      "hoopy image " + b.version,
		Namespace: "urn:hoopy:image:" + b.version + ":" + hexSum([]byte(lock.String() + strings.Join(modules, "\n")))[:16],
	}
	d.Creation.Creators = []string{"Tool: hoopy-build-" + b.version}
	epoch := b.Epoch
	for _, p := range pkgs {
		if b.Epoch == 0 {
			epoch = max(epoch, p.BuildTime)
		}
		d.add(ofAPK(p, s))
	}
	for _, m := range modules {
		d.add(ofGo(m))
	}
	d.Creation.Created = time.Unix(epoch, 0).UTC().Format(time.RFC3339)
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

type spdx struct {
	Version   string `json:"spdxVersion"`
	License   string `json:"dataLicense"`
	ID        string `json:"SPDXID"`
	Name      string `json:"name"`
	Namespace string `json:"documentNamespace"`
	Creation  struct {
		Created  string   `json:"created"`
		Creators []string `json:"creators"`
	} `json:"creationInfo"`
	Packages  []spdxPackage  `json:"packages"`
	Relations []spdxRelation `json:"relationships"`
}

type spdxPackage struct {
	ID       string         `json:"SPDXID"`
	Name     string         `json:"name"`
	Version  string         `json:"versionInfo"`
	Supplier string         `json:"supplier"`
	Download string         `json:"downloadLocation"`
	Analyzed bool           `json:"filesAnalyzed"`
	Home     string         `json:"homepage,omitempty"`
	Source   string         `json:"sourceInfo,omitempty"`
	Declared string         `json:"licenseDeclared"`
	Called   string         `json:"licenseComments,omitempty"`
	Decided  string         `json:"licenseConcluded"`
	Right    string         `json:"copyrightText"`
	Comment  string         `json:"comment,omitempty"`
	Refs     []spdxExternal `json:"externalRefs"`
}

type spdxExternal struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelation struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

func (d *spdx) add(p spdxPackage) {
	d.Packages = append(d.Packages, p)
	d.Relations = append(d.Relations, spdxRelation{d.ID, "DESCRIBES", p.ID})
}

const unsaid = "NOASSERTION"

func ofAPK(p *apk.Package, s *sources) spdxPackage {
	declared, comment := license(p.License)
	out := spdxPackage{
		ID: "SPDXRef-apk-" + idOf(p.Name), Name: p.Name, Version: p.Version, Supplier: unsaid, Download: unsaid,
		Home: p.URL, Declared: declared, Called: comment, Decided: unsaid, Right: unsaid, Comment: p.Description,
		Source: fmt.Sprintf("control segment %s, repository %s, origin %s, commit %s", p.Checksum, s.names[p.Repo], p.Origin, p.Commit),
	}
	vendor := "hoopy"
	if !s.local {
		vendor = "alpine"
		out.Supplier = "Organization: Alpine Linux"
		out.Download = p.Repo.Location + "/" + p.Repo.Arch + "/" + p.File()
	}
	out.Refs = []spdxExternal{{"PACKAGE-MANAGER", "purl", fmt.Sprintf("pkg:apk/%s/%s@%s?arch=%s", vendor, p.Name, p.Version, p.Arch)}}
	return out
}

func ofGo(module string) spdxPackage {
	name, version, _ := strings.Cut(module, " ")
	return spdxPackage{
		ID: "SPDXRef-go-" + idOf(module), Name: name, Version: version, Supplier: unsaid, Download: unsaid,
		Declared: unsaid, Decided: unsaid, Right: unsaid,
		Refs: []spdxExternal{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + name + "@" + version}},
	}
}

// goModules lists "path version" of what the programs are linked from, and the
// standard library.
func goModules(files map[string]string) ([]string, error) {
	set := map[string]bool{}
	for _, file := range files {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, err
		}
		set["stdlib "+strings.TrimPrefix(info.GoVersion, "go")] = true
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			set[m.Path+" "+m.Version] = true
		}
	}
	return slices.Sorted(maps.Keys(set)), nil
}

var (
	notID      = regexp.MustCompile(`[^A-Za-z0-9.-]+`)
	expression = regexp.MustCompile(`^[A-Za-z0-9.+-]+(( AND | OR | WITH )[A-Za-z0-9.+-]+)*$`)
)

// idOf writes what may not stand in an id as its bytes, so that no two collide.
func idOf(name string) string {
	return notID.ReplaceAllStringFunc(name, func(s string) string { return fmt.Sprintf("-%x-", s) })
}

// license is what the index says, where it is an SPDX expression; otherwise
// comment says what the package calls it.
func license(text string) (expr, comment string) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" ()", r) })
	own := slices.ContainsFunc(words, func(w string) bool { return w == "custom" || w == "public-domain" })
	if !own && expression.MatchString(strings.NewReplacer("(", "", ")", "").Replace(text)) {
		return text, ""
	}
	return unsaid, fmt.Sprintf("the package says %q", text)
}
