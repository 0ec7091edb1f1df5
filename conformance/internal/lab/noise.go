package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// maxNoise is the longest delay that noise makes: far less than what checks measure.
const maxNoise = 40 * time.Millisecond

// noise is what a client must not be disturbed by: successes with members and
// headers that it does not know, in another order, and a little late. It leaves out
// everything that a client may act on, so that counts and verdicts are as without.
type noise struct{ seed string }

// disturb returns an answer that means the same. x decides with the seed what is
// done to it.
func (n noise) disturb(x *Exchange, a *Answer) *Answer {
	if n.seed == "" || a.Status != http.StatusOK || a.silent() || a.Broken || a.Endless > 0 {
		return a
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", n.seed, x.Op, x.Seq))
	dice := rand.New(rand.NewPCG(binary.LittleEndian.Uint64(sum[:8]), binary.LittleEndian.Uint64(sum[8:16])))
	same := *a
	same.Header = a.Header.Clone()
	same.Header.Set(fmt.Sprintf("X-Noise-%d", dice.IntN(1000)), "1")
	same.Delay += time.Duration(dice.Int64N(int64(maxNoise)))
	if strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") {
		same.Body = noisy(dice, a.Body)
		same.Header.Del("Content-Length")
	}
	return &same
}

// noisy returns an object in JSON with more members, in another order (RFC 8259
// section 4, RFC 6749 section 5.1). What is none stays as it is.
func noisy(dice *rand.Rand, body []byte) []byte {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil || members == nil {
		return body
	}
	values := []string{`"text"`, `17`, `-0.5e3`, `true`, `null`, `[]`, `["a",{"access_token":null}]`, `{"expires_in":{"error":[]}}`}
	for range 1 + dice.IntN(3) {
		members[fmt.Sprintf("noise_%06x", dice.IntN(1<<24))] = json.RawMessage(values[dice.IntN(len(values))])
	}
	names := slices.Sorted(maps.Keys(members))
	dice.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var b bytes.Buffer
	for i, name := range names {
		key, err := json.Marshal(name)
		if err != nil {
			return body
		}
		b.WriteByte("{,"[min(i, 1)])
		b.Write(key)
		b.WriteByte(':')
		b.Write(members[name])
	}
	b.WriteByte('}')
	return b.Bytes()
}
