// Tlog answers on stdout, in JSON, what Go's golang.org/x/mod/sumdb/note and tlog say of the questions on stdin.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type question struct {
	Open []struct {
		Note  []byte   `json:"note"`
		Vkeys []string `json:"vkeys"`
	} `json:"open"`
	Sign []struct {
		Text string `json:"text"`
		Skey string `json:"skey"`
	} `json:"sign"`
	Paths       []string   `json:"paths"`
	Entries     int64      `json:"entries"`
	Sizes       []int64    `json:"sizes"`
	Inclusion   [][2]int64 `json:"inclusion"`
	Consistency [][2]int64 `json:"consistency"`
	Tiles       []string   `json:"tiles"`
	Records     [][]byte   `json:"records"`
}

type answer struct {
	Open        []string   `json:"open"`
	Sign        [][]byte   `json:"sign"`
	Paths       []bool     `json:"paths"`
	Roots       []string   `json:"roots"`
	Inclusion   [][]string `json:"inclusion"`
	Consistency [][]string `json:"consistency"`
	Tiles       [][]byte   `json:"tiles"`
}

// A cosigner verifies cosignature/v1 lines (https://c2sp.org/tlog-cosignature), which x/mod does not know.
type cosigner struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }
func (c cosigner) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(sig))
	return ed25519.Verify(c.key, append([]byte(head), msg...), sig[8:])
}

func verifier(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) == 3 {
		raw, err := base64.StdEncoding.DecodeString(parts[2])
		if err == nil && len(raw) == 1+ed25519.PublicKeySize && raw[0] == 4 {
			var hash uint32
			_, err := fmt.Sscanf(parts[1], "%08x", &hash)
			return cosigner{parts[0], hash, raw[1:]}, err
		}
	}
	return note.NewVerifier(vkey)
}

func open(message []byte, vkeys []string) string {
	var list []note.Verifier
	for _, vkey := range vkeys {
		one, err := verifier(vkey)
		check(err)
		list = append(list, one)
	}
	_, err := note.Open(message, note.VerifierList(list...))
	var unverified *note.UnverifiedNoteError
	var invalid *note.InvalidSignatureError
	switch {
	case err == nil:
		return "signed"
	case errors.As(err, &unverified):
		return "unsigned"
	case errors.As(err, &invalid):
		return "verification"
	}
	return "format"
}

type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = h[index]
	}
	return found, nil
}

func text(list []tlog.Hash) []string {
	found := make([]string, len(list))
	for i, hash := range list {
		found[i] = hash.String()
	}
	return found
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	var asked question
	check(json.NewDecoder(os.Stdin).Decode(&asked))
	var said answer
	for _, one := range asked.Open {
		said.Open = append(said.Open, open(one.Note, one.Vkeys))
	}
	for _, one := range asked.Sign {
		signer, err := note.NewSigner(one.Skey)
		check(err)
		message, err := note.Sign(&note.Note{Text: one.Text}, signer)
		check(err)
		said.Sign = append(said.Sign, message)
	}
	for _, path := range asked.Paths {
		_, err := tlog.ParseTilePath(path)
		said.Paths = append(said.Paths, err == nil)
	}
	tree(asked, &said)
	check(json.NewEncoder(os.Stdout).Encode(said))
}

// tree answers about the log of the records given, or else of the entries "entri 0", "entri 1" and so on.
func tree(asked question, said *answer) {
	records := asked.Records
	for n := int64(0); n < asked.Entries; n++ {
		records = append(records, []byte(fmt.Sprintf("entri %d", n)))
	}
	var stored hashes
	for n, record := range records {
		more, err := tlog.StoredHashes(int64(n), record, stored)
		check(err)
		stored = append(stored, more...)
	}
	for _, size := range asked.Sizes {
		root, err := tlog.TreeHash(size, stored)
		check(err)
		said.Roots = append(said.Roots, root.String())
	}
	for _, one := range asked.Inclusion {
		proof, err := tlog.ProveRecord(one[1], one[0], stored)
		check(err)
		said.Inclusion = append(said.Inclusion, text(proof))
	}
	for _, one := range asked.Consistency {
		proof, err := tlog.ProveTree(one[1], one[0], stored)
		check(err)
		said.Consistency = append(said.Consistency, text(proof))
	}
	for _, path := range asked.Tiles {
		tile, err := tlog.ParseTilePath(path)
		check(err)
		data, err := tlog.ReadTileData(tile, stored)
		check(err)
		said.Tiles = append(said.Tiles, data)
	}
}
