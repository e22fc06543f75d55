package install

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate makes one with an awkward subject.
func certificate(t *testing.T, names ...string) []byte {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{Country: []string{"CH"}, Organization: names[1:], CommonName: names[0]},
		NotBefore:    time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestSubjectHash(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl here to compare with")
	}
	var certs [][]byte
	for _, names := range [][]string{
		{"Plain CA", "Org"},
		{"  Much   White\tSpace ", "B", "A"},
		{"ÜBER Straße Ελλάδα", "日本"},
		{"star*mail@x", ""},
	} {
		certs = append(certs, certificate(t, names...))
	}
	// whatever this machine trusts: real subjects in every string type
	real, err := filepath.Glob("/usr/share/ca-certificates/*/*.crt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range real {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, data)
	}
	for i, c := range certs {
		cmd := exec.CommandContext(t.Context(), openssl, "x509", "-noout", "-subject_hash")
		cmd.Stdin = strings.NewReader(string(c))
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		have, err := subjectHash(c)
		if err != nil || fmt.Sprintf("%08x", have) != strings.TrimSpace(string(out)) {
			t.Errorf("certificate %d: %08x, %v; openssl says %s", i, have, err, out)
		}
	}
	t.Logf("%d certificates", len(certs))
	for _, bad := range []string{"", "x", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"} {
		if _, err := subjectHash([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestUpdateCACertificates(t *testing.T) {
	a, b, off := certificate(t, "A", "x"), certificate(t, "B", "x"), certificate(t, "Off", "x")
	twin := certificate(t, "a", "X") // another certificate of the same subject
	p := pack("ca-certificates",
		dir("usr"), dir("usr/sbin"), dir("usr/share"), dir("usr/share/ca-certificates"), dir("usr/share/ca-certificates/mozilla"),
		dir("etc"), dir("etc/ssl"), dir("etc/ssl/certs"),
		file("usr/sbin/update-ca-certificates", "ELF", 0o755),
		file("usr/share/ca-certificates/mozilla/A (1).crt", string(a), 0o644),
		file("usr/share/ca-certificates/mozilla/B.crt", strings.TrimSpace(string(b)), 0o644),
		file("usr/share/ca-certificates/mozilla/Off.crt", string(off), 0o644),
		file("usr/share/ca-certificates/mozilla/Twin.crt", string(twin), 0o644),
		file("etc/ca-certificates.conf", "# all\nmozilla/A (1).crt\nmozilla/B.crt\n!mozilla/Off.crt\nmozilla/Twin.crt\n", 0o644))
	with(p, "trigger", "/usr/sbin/update-ca-certificates --fresh &>/dev/null\n")
	p.Info.Triggers = []string{"/usr/share/ca-certificates/*"}
	tr := mustLay(t, Options{}, p)
	want := string(a) + string(b) + string(twin)
	if have := read(t, tr, "etc/ssl/certs/ca-certificates.crt"); have != want {
		t.Errorf("the bundle is\n%s", have)
	}
	hashA, err := subjectHash(a)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ca-cert-A_=1=.pem":          string(a),
		fmt.Sprintf("%08x.0", hashA): string(a),
		fmt.Sprintf("%08x.1", hashA): string(twin),
		"ca-cert-B.pem":              strings.TrimSpace(string(b)),
	} {
		if have := read(t, tr, "etc/ssl/certs/"+name); have != text {
			t.Errorf("%s holds\n%s", name, have)
		}
	}
	if _, ok := tr.Get("etc/ssl/certs/ca-cert-Off.pem"); ok {
		t.Error("a certificate that is switched off has a link")
	}
}
