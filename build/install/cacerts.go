package install

import (
	"crypto/sha1"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf16"

	"hoopy/build/tree"
)

const (
	caDir      = "usr/share/ca-certificates"
	caLocalDir = "usr/local/share/ca-certificates"
	caConf     = "etc/ca-certificates.conf"
	caOut      = "etc/ssl/certs"
	caBundle   = caOut + "/ca-certificates.crt"
)

// updateCACertificates does what Alpine's program of that name does: a link
// ca-cert-NAME.pem in etc/ssl/certs for each certificate that
// etc/ca-certificates.conf lists and for the local ones, a link by the hash of
// its subject, by which OpenSSL looks, and all of them in one file.
func updateCACertificates(v *invocation) error {
	for _, a := range v.args {
		if a != "--fresh" && a != "-f" && a != "--verbose" && a != "-v" {
			return noSuchUse("no flag %s", a)
		}
	}
	in := v.script.in
	list, err := in.caFiles()
	if err != nil {
		return err
	}
	if err := in.t.MkdirAll(caOut, 0o755); err != nil {
		return err
	}
	var bundle []byte
	count := map[uint32]int{}
	for _, file := range list {
		data, err := in.t.ReadFile(file)
		if err != nil {
			return err
		}
		if bundle = append(bundle, data...); len(data) > 0 && data[len(data)-1] != '\n' {
			bundle = append(bundle, '\n')
		}
		name := "ca-cert-" + strings.NewReplacer(" ", "_", ",", "_", "(", "=", ")", "=").Replace(strings.TrimSuffix(path.Base(file), ".crt")) + ".pem"
		if err := in.relink(path.Join(caOut, name), "/"+file); err != nil {
			return err
		}
		hash, err := subjectHash(data)
		if err != nil {
			return fmt.Errorf("certificate %q: %w", file, err)
		}
		if err := in.relink(fmt.Sprintf("%s/%08x.%d", caOut, hash, count[hash]), name); err != nil {
			return err
		}
		count[hash]++
	}
	e, err := in.t.WriteFile(caBundle, bundle, 0o644)
	if err == nil && e.MTime == 0 {
		e.MTime = v.l.BuildTime
	}
	return err
}

// caFiles lists the certificates in use.
func (in *installer) caFiles() ([]string, error) {
	conf, err := in.t.ReadFile(caConf)
	if err != nil {
		return nil, err
	}
	var out []string
	for l := range strings.Lines(string(conf)) {
		if l = strings.TrimSpace(l); l != "" && l[0] != '#' && l[0] != '!' {
			out = append(out, tree.Clean(path.Join(caDir, path.Join("/", l))))
		}
	}
	local, err := in.t.ReadDir(caLocalDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, e := range local {
		if strings.HasSuffix(e.Path, ".crt") {
			out = append(out, e.Path)
		}
	}
	return out, nil
}

// relink makes a link, in place of another one if need be.
func (in *installer) relink(name, target string) error {
	if e, ok := in.t.Get(name); ok {
		if e.Link == target {
			return nil
		}
		if err := in.t.Remove(name); err != nil {
			return err
		}
	}
	return in.t.Add(in.link(name, target, "ca-certificates"))
}

// subjectHash is the number by which OpenSSL looks for a certificate
// (X509_NAME_hash): SHA-1 over the subject in a canonical form, the first four
// bytes in little-endian order.
func subjectHash(data []byte) (uint32, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
		return 0, errors.New("no PEM certificate")
	}
	var cert struct {
		TBS struct {
			Version    int `asn1:"optional,explicit,default:0,tag:0"`
			Serial     asn1.RawValue
			Algorithm  asn1.RawValue
			Issuer     asn1.RawValue
			Validity   asn1.RawValue
			Subject    asn1.RawValue
			PublicKey  asn1.RawValue
			Extensions []asn1.RawValue `asn1:"optional,omitempty"`
		}
		Algorithm asn1.RawValue
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(block.Bytes, &cert); err != nil {
		return 0, err
	}
	canon, err := canonicalName(cert.TBS.Subject.Bytes)
	if err != nil {
		return 0, err
	}
	sum := sha1.Sum(canon)
	return binary.LittleEndian.Uint32(sum[:]), nil
}

// canonicalName brings the relative names of a subject to OpenSSL's form:
// strings in UTF-8, lower case, white space trimmed and single.
func canonicalName(rest []byte) ([]byte, error) {
	var out []byte
	for len(rest) > 0 {
		var rdn asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &rdn); err != nil {
			return nil, err
		}
		var parts [][]byte
		for inner := rdn.Bytes; len(inner) > 0; {
			var attr struct {
				Type  asn1.ObjectIdentifier
				Value asn1.RawValue
			}
			if inner, err = asn1.Unmarshal(inner, &attr); err != nil {
				return nil, err
			}
			if s, ok := stringOf(attr.Value); ok {
				s = lowerASCII(strings.Join(strings.FieldsFunc(s, func(r rune) bool {
					return r == ' ' || r >= '\t' && r <= '\r'
				}), " "))
				attr.Value = asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(s)}
			}
			der, err := asn1.Marshal(attr)
			if err != nil {
				return nil, err
			}
			parts = append(parts, der)
		}
		slices.SortFunc(parts, func(a, b []byte) int { return strings.Compare(string(a), string(b)) })
		der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: slices.Concat(parts...)})
		if err != nil {
			return nil, err
		}
		out = append(out, der...)
	}
	return out, nil
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

// stringOf reads the string types that OpenSSL makes alike.
func stringOf(v asn1.RawValue) (string, bool) {
	switch v.Tag {
	case asn1.TagUTF8String, asn1.TagPrintableString, asn1.TagIA5String, 26: // 26: visible
		return string(v.Bytes), true
	case asn1.TagT61String:
		r := make([]rune, len(v.Bytes))
		for i, b := range v.Bytes {
			r[i] = rune(b)
		}
		return string(r), true
	case asn1.TagBMPString:
		u := make([]uint16, len(v.Bytes)/2)
		for i := range u {
			u[i] = binary.BigEndian.Uint16(v.Bytes[2*i:])
		}
		return string(utf16.Decode(u)), true
	}
	return "", false
}
