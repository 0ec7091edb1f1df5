package report

import (
	"fmt"
	"strconv"
	"strings"
)

// A Shard is a part of the checks: the one with a number, from 1 on, of so many. The
// zero value is the whole.
type Shard struct{ Number, Of int }

// MaxShards is how many shards a run may have, which is more than there are checks.
const MaxShards = 10_000

// ParseShard reads a shard, such as 2/5, as [Shard.String] writes it. It fails for all
// else, and for more than [MaxShards].
func ParseShard(text string) (Shard, error) {
	number, of, _ := strings.Cut(text, "/")
	var s Shard
	s.Number, _ = strconv.Atoi(number)
	s.Of, _ = strconv.Atoi(of)
	if s.Number < 1 || s.Number > s.Of || s.Of > MaxShards || s.String() != text {
		return Shard{}, fmt.Errorf("expected a number and how many there are, such as 2/5, and %d at most", MaxShards)
	}
	return s, nil
}

// String is the shard as it is written; empty for the whole.
func (s Shard) String() string {
	if s.Of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Number, s.Of)
}
