package classify

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"slices"
)

// row holds the weights of a feature for every output, a byte each, with 128
// for none, then what its feature counts, and at its end the feature's hash.
type row *[rowBytes]byte

// weightOf is what a row says of output k.
func weightOf(r row, k int) int32 { return int32(r[k]) - 128 }

// table finds the row of a feature, in the bytes of the model.
type table struct {
	rows   []byte   // by ascending hash
	hashes []uint32 // of the rows, so that a look-up touches few lines of memory
	ranks  [1 << (rankBits - 6)]rank
}

// rank says, of hashes that begin with the same bits, which row is the first,
// and, by their next six bits, which there are: a third of all features have no
// row.
type rank struct {
	may   uint64
	first uint32
}

const rankBits = 20

func (t *table) fill(rows []byte) error {
	t.rows = rows
	t.hashes = make([]uint32, len(rows)/rowBytes)
	last, at := uint32(0), 0 // 0 is no hash
	for i := range uint32(len(t.hashes)) {
		hash := binary.LittleEndian.Uint32(t.row(i)[hashByte:])
		t.hashes[i] = hash
		if hash <= last {
			return errors.New("model: its rows are not in order")
		}
		last = hash
		for ; at <= int(hash>>(38-rankBits)); at++ {
			t.ranks[at].first = i
		}
		t.ranks[at-1].may |= 1 << (hash >> (32 - rankBits) & 63)
	}
	return nil
}

func (t *table) row(i uint32) row { return row(t.rows[int(i)*rowBytes:]) }

// find returns the row of hash, nil if it has none.
func (t *table) find(hash uint32) row {
	if t.may(hash) == 0 {
		return nil
	}
	if i, ok := t.place(hash); ok {
		return t.row(i)
	}
	return nil
}

// may is 0 for a hash that certainly has no row, else 1.
func (t *table) may(hash uint32) uint64 {
	return t.ranks[hash>>(38-rankBits)].may >> (hash >> (32 - rankBits) & 63) & 1
}

// place returns which row is that of hash. Before it are at least as many rows of
// its rank as there are bits before its bit.
func (t *table) place(hash uint32) (uint32, bool) {
	r := &t.ranks[hash>>(38-rankBits)]
	i := r.first + uint32(bits.OnesCount64(r.may&(1<<(hash>>(32-rankBits)&63)-1)))
	for ; int(i) < len(t.hashes); i++ {
		if h := t.hashes[i]; h >= hash {
			return i, h == hash
		}
	}
	return 0, false
}

// sums are the rows of a sentence, added up.
type sums [rowBytes]int32

// counts is the sum of the squares of what the features count.
func (s *sums) counts() float64 { return float64(s[countByte]) / countSteps }

func (s *sums) add(o *sums) {
	for k := range s {
		s[k] += o[k]
	}
}

func (s *sums) sub(o *sums) {
	for k := range s {
		s[k] -= o[k]
	}
}

// lanes is how many rows can be added before a lane of 16 bits is full.
const lanes = 256

// sum adds up the rows of features, four bytes at a time. First it looks which
// may have one, then where, so that the processor need not guess.
func (t *table) sum(features []feature) sums {
	var s sums
	const low = 0x00ff00ff00ff00ff
	var list [lanes]uint32 // hashes, then rows
	for part := range slices.Chunk(features, lanes) {
		n := 0
		for k := range part {
			hash := part[k].hash
			list[n&(lanes-1)] = hash
			n += int(t.may(hash))
		}
		found := 0
		for _, hash := range list[:n] {
			if i, ok := t.place(hash); ok {
				list[found] = i
				found++
			}
		}
		var a, b, c, d, e, f, g, h, i, j uint64 // stay in registers, as an array would not
		for _, at := range list[:found] {
			r := t.row(at)
			x := binary.LittleEndian.Uint64(r[0:8])
			a, b = a+x&low, b+x>>8&low
			x = binary.LittleEndian.Uint64(r[8:16])
			c, d = c+x&low, d+x>>8&low
			x = binary.LittleEndian.Uint64(r[16:24])
			e, f = e+x&low, f+x>>8&low
			x = binary.LittleEndian.Uint64(r[24:32])
			g, h = g+x&low, h+x>>8&low
			x = binary.LittleEndian.Uint64(r[32:40])
			i, j = i+x&low, j+x>>8&low
		}
		s.take(&[rowBytes / 4]uint64{a, b, c, d, e, f, g, h, i, j}, found)
	}
	return s
}

func (s *sums) take(acc *[rowBytes / 4]uint64, n int) {
	for k := range s {
		s[k] += int32(acc[k/8*2+k%2]>>(k%8/2*16)&0xffff) - int32(n*128)
	}
}
