package blob

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/fakeentra/fakeentra/internal/edge"
)

// Limits of Microsoft's page "Understanding block blobs".
const (
	maxBlockID   = 64      // bytes, decoded
	maxCommitted = 50_000  // blocks in a blob
	maxStaged    = 100_000 // blocks put and not committed
)

// putBlock is Put Block.
func putBlock(s *Service, c *call) (resp edge.Response, e *Error) {
	if e = c.unconditional(); e != nil {
		return resp, e
	}
	id, e := c.blockID()
	if e != nil {
		return resp, e
	}
	content, e := c.body(maxContent)
	if e != nil {
		return resp, e
	}
	if len(content) == 0 {
		return resp, errHeader.because("the block is empty; a block has at least one byte").ofHeader("Content-Length", "0")
	}
	s.store.update(func(tx transaction) {
		if _, ok := tx.container(c.at); !ok {
			e = missingContainer(c.at)
		} else if e = stageable(tx.staged(c.at), id); e == nil {
			tx.stage(c.at, block{id, content})
		}
	})
	resp = c.answer(http.StatusCreated)
	resp.Header.Set("Content-MD5", md5Of(content))
	resp.Header.Set("x-ms-content-crc64", crc64Of(content))
	resp.Header.Set("x-ms-request-server-encrypted", "true")
	return resp, e
}

func (c *call) blockID() (string, *Error) {
	id := c.query.Get("blockid")
	if id == "" {
		return "", errQueryMissing.because("the query parameter blockid is missing").ofQuery("blockid", "", "")
	}
	if raw, err := base64.StdEncoding.DecodeString(id); err != nil || len(raw) > maxBlockID {
		return "", errBlockID.because("the block ID %q is not base64 of at most %d bytes", id, maxBlockID)
	}
	return id, nil
}

// stageable checks a new block against those that wait already.
func stageable(staged map[string][]byte, id string) *Error {
	if _, replaces := staged[id]; replaces {
		return nil
	}
	if len(staged) >= maxStaged {
		return errTooManyBlocks.because("the blob has %d blocks that are not committed; no more can be put", len(staged))
	}
	for other := range maps.Keys(staged) {
		if len(other) != len(id) {
			return errBlock.because("the block ID %q has %d characters and an earlier one, as all block IDs of a blob must be equally long, has %d", id, len(id), len(other))
		}
		break // the others are as long
	}
	return nil
}

// An entry of a block list names a block, and where to look for it.
type entry struct {
	from string // Committed, Uncommitted or Latest
	id   string
}

// putBlockList is Put Block List.
func putBlockList(s *Service, c *call) (resp edge.Response, e *Error) {
	made, e := c.newBlob(false)
	if e != nil {
		return resp, e
	}
	document, e := c.body(maxList)
	if e != nil {
		return resp, e
	}
	list, e := parseBlockList(document)
	if e != nil {
		return resp, e
	}
	e = s.create(c, &made, func(tx transaction) (e *Error) {
		old, _ := tx.blob(c.at)
		made.content, made.blocks, e = assemble(list, old.blocks, tx.staged(c.at))
		return e
	})
	if e != nil {
		return resp, e
	}
	resp = c.created(made)
	resp.Header.Set("x-ms-content-crc64", crc64Of(document))
	return resp, nil
}

// parseBlockList reads the body of Put Block List.
func parseBlockList(document []byte) ([]entry, *Error) {
	bad := func(err error) *Error {
		return errXML.because("the block list is not a BlockList of Committed, Uncommitted and Latest elements: %v", err)
	}
	var root struct {
		XMLName xml.Name `xml:"BlockList"`
		Entries []struct {
			XMLName xml.Name
			ID      string `xml:",chardata"`
		} `xml:",any"`
	}
	d := xml.NewDecoder(bytes.NewReader(bytes.TrimSpace(bytes.TrimPrefix(document, []byte("\ufeff")))))
	if err := d.Decode(&root); err != nil {
		return nil, bad(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, bad(errors.New("something follows the BlockList"))
	}
	if len(root.Entries) > maxCommitted {
		return nil, errBlockListLong.because("the block list has %d blocks; at most %d are allowed", len(root.Entries), maxCommitted)
	}
	list := make([]entry, 0, len(root.Entries))
	for _, x := range root.Entries {
		switch x.XMLName.Local {
		case "Committed", "Uncommitted", "Latest":
			list = append(list, entry{x.XMLName.Local, strings.TrimSpace(x.ID)})
		default:
			return nil, errXML.because("the block list has an element %s; expected Committed, Uncommitted or Latest", x.XMLName.Local)
		}
	}
	return list, nil
}

// assemble puts the blocks of a list together.
func assemble(list []entry, committed []block, staged map[string][]byte) ([]byte, []block, *Error) {
	old := map[string][]byte{}
	for _, b := range committed {
		old[b.id] = b.content
	}
	parts, size := make([][]byte, 0, len(list)), 0
	for _, want := range list {
		part, ok := staged[want.id]
		if !ok && want.from == "Latest" || want.from == "Committed" {
			part, ok = old[want.id]
		}
		if !ok {
			return nil, nil, errBlockList.because("the list names the block %q as %s, and there is none; put it first", want.id, want.from)
		}
		parts = append(parts, part)
		if size += len(part); size > maxBlob {
			return nil, nil, errBodyTooLarge.because("the blocks of the list have more than %d bytes together, which is the size of blob that fakeentra takes", maxBlob)
		}
	}
	content := slices.Concat(parts...)
	blocks := make([]block, 0, len(list))
	start := 0
	for i, part := range parts {
		end := start + len(part)
		blocks = append(blocks, block{list[i].id, content[start:end:end]})
		start = end
	}
	return content, blocks, nil
}

// getBlockList is Get Block List.
func getBlockList(s *Service, c *call) (resp edge.Response, e *Error) {
	kind := strings.ToLower(c.query.Get("blocklisttype"))
	if !slices.Contains([]string{"", "committed", "uncommitted", "all"}, kind) {
		return resp, errQuery.because("blocklisttype is %q; expected committed, uncommitted or all", kind).ofQuery("blocklisttype", kind, "")
	}
	k, e := c.conditions()
	if e != nil {
		return resp, e
	}
	var body strings.Builder
	s.store.view(func(tx transaction) {
		staged := tx.staged(c.at)
		found, missing := lookup(tx, c.at)
		if missing != nil && len(staged) == 0 {
			e = missing
			return
		}
		resp = c.answer(http.StatusOK)
		if missing == nil {
			identify(resp, found.state(true))
			e = k.read(found.state(true))
		}
		resp.Header.Set("x-ms-blob-content-length", strconv.Itoa(len(found.content)))
		writeBlockLists(&body, kind, found.blocks, staged)
	})
	if e != nil {
		return resp, e
	}
	resp.Header.Set("Content-Type", "application/xml")
	resp.Body = []byte(body.String())
	return resp, nil
}

// writeBlockLists writes committed blocks in their order in the blob and the
// others in that of their identifiers (Microsoft: Get Block List).
func writeBlockLists(b *strings.Builder, kind string, committed []block, staged map[string][]byte) {
	b.WriteString(xmlBegin + "<BlockList>")
	if kind != "uncommitted" {
		writeBlocks(b, "CommittedBlocks", committed)
	}
	if kind == "uncommitted" || kind == "all" {
		var blocks []block
		for _, id := range slices.Sorted(maps.Keys(staged)) {
			blocks = append(blocks, block{id, staged[id]})
		}
		writeBlocks(b, "UncommittedBlocks", blocks)
	}
	b.WriteString("</BlockList>")
}

func writeBlocks(b *strings.Builder, name string, blocks []block) {
	if len(blocks) == 0 {
		b.WriteString("<" + name + " />")
		return
	}
	b.WriteString("<" + name + ">")
	for _, part := range blocks {
		b.WriteString("<Block>")
		element(b, "Name", part.id)
		element(b, "Size", strconv.Itoa(len(part.content)))
		b.WriteString("</Block>")
	}
	b.WriteString("</" + name + ">")
}
