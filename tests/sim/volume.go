package main

import (
	"bytes"
	"fmt"
	"os"
	"sort"
	"syscall"
)

// A volume holds the contents of one virtual disk at every moment that a snapshot ever froze.  The given raw file is
// read and never written.  Guest writes go to grains in an unlinked log file, and a grain keeps one version for each
// era in which it was written; an era ends when a snapshot freezes the disk.  Freezing is O(1), reading a frozen moment
// is a look-up of the youngest version in the eras that the moment can see, and nothing is ever merged or copied.

const (
	sectorBytes = 512
	grainBytes  = 4096
	blockBytes  = 64 << 10 // what change tracking reports
)

// eras is a range of eras, both ends included.
type eras struct{ first, last uint32 }

// view names a moment of a volume: the eras it can see, oldest first, and the size that the disk had.
type view struct {
	eras []eras
	size int64
}

func (v view) sees(era uint32) bool {
	for i := len(v.eras) - 1; i >= 0; i-- {
		if era >= v.eras[i].first && era <= v.eras[i].last {
			return true
		}
	}
	return false
}

// version is one state of a grain; the position in the log, or -1 for zeroes.
type version struct {
	era      uint32
	position int64
}

type extent struct{ start, end int64 }

// volume is guarded by the world's mutex, except that frozen versions may be read from the log without it.
type volume struct {
	base     *os.File // nil: zeroes
	baseSize int64
	used     []extent // of the base file; valid when scanned
	scanned  bool
	log      *os.File // nil: nothing was written yet
	logEnd   int64
	grains   map[int64][]version
	era      uint32
	writes   uint64 // counts, so that something derived from the current contents knows when it is stale
}

func newVolume(file string) (*volume, error) {
	v := &volume{grains: map[int64][]version{}, era: 1}
	if file != "" {
		base, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		info, err := base.Stat()
		if err != nil {
			return nil, err
		}
		v.base, v.baseSize = base, info.Size()
	}
	return v, nil
}

// openLog makes the file for what is written; most disks of a large inventory never need one.
func (v *volume) openLog() error {
	if v.log != nil {
		return nil
	}
	log, err := os.CreateTemp("", "sendense-sim-log-")
	if err != nil {
		return err
	}
	v.log = log
	return os.Remove(log.Name())
}

// nextEra ends the present era; what was written until now can be seen for ever.
func (v *volume) nextEra() uint32 {
	v.era++
	return v.era
}

// at finds the version of a grain that the view sees.
func (v *volume) at(grain int64, at view) (version, bool) {
	versions := v.grains[grain]
	for i := len(versions) - 1; i >= 0; i-- {
		if at.sees(versions[i].era) {
			return versions[i], true
		}
	}
	return version{}, false
}

// write changes the current contents, seen through current, from offset on.  The range must lie inside the disk.
func (v *volume) write(data []byte, offset int64, current view) error {
	if offset < 0 || offset+int64(len(data)) > current.size {
		return fmt.Errorf("%d bytes at %d lie outside of the disk", len(data), offset)
	}
	if err := v.openLog(); err != nil {
		return err
	}
	v.writes++
	for len(data) > 0 {
		grain := offset / grainBytes
		skip := offset % grainBytes
		n := int64(len(data))
		if n > grainBytes-skip {
			n = grainBytes - skip
		}
		buffer := make([]byte, grainBytes)
		if n < grainBytes {
			if err := v.readGrain(buffer, grain, current); err != nil {
				return err
			}
		}
		copy(buffer[skip:], data[:n])
		if err := v.store(grain, buffer); err != nil {
			return err
		}
		data, offset = data[n:], offset+n
	}
	return nil
}

var zeroGrain = make([]byte, grainBytes)

// store records a grain in the present era.
func (v *volume) store(grain int64, data []byte) error {
	versions := v.grains[grain]
	last := len(versions) - 1
	fresh := last < 0 || versions[last].era != v.era
	position := int64(-1)
	if !bytes.Equal(data, zeroGrain) {
		if !fresh {
			position = versions[last].position
		}
		if position < 0 {
			position, v.logEnd = v.logEnd, v.logEnd+grainBytes
		}
		if _, err := v.log.WriteAt(data, position); err != nil {
			return err
		}
	}
	if fresh {
		v.grains[grain] = append(versions, version{v.era, position})
	} else {
		versions[last].position = position
	}
	return nil
}

func (v *volume) readGrain(buffer []byte, grain int64, at view) error {
	found, ok := v.at(grain, at)
	if !ok {
		return v.readBase(buffer, grain*grainBytes)
	}
	return v.readVersion(buffer, found)
}

func (v *volume) readVersion(buffer []byte, from version) error {
	if from.position < 0 {
		copy(buffer, zeroGrain)
		return nil
	}
	_, err := v.log.ReadAt(buffer, from.position)
	return err
}

// readBase reads the given raw file; zeroes beyond its end.
func (v *volume) readBase(buffer []byte, offset int64) error {
	n := 0
	if v.base != nil && offset < v.baseSize {
		want := int64(len(buffer))
		if want > v.baseSize-offset {
			want = v.baseSize - offset
		}
		got, err := v.base.ReadAt(buffer[:want], offset)
		if err != nil {
			return err
		}
		n = got
	}
	for i := n; i < len(buffer); i++ {
		buffer[i] = 0
	}
	return nil
}

// piece is a grain that a read must take from the log.
type piece struct {
	grain int64
	from  version
}

// pieces lists the grains of a range that do not come from the base file.  Needs the mutex.
func (v *volume) pieces(offset, length int64, at view) []piece {
	var found []piece
	if len(v.grains) == 0 {
		return nil
	}
	for grain := offset / grainBytes; grain*grainBytes < offset+length; grain++ {
		if from, ok := v.at(grain, at); ok {
			found = append(found, piece{grain, from})
		}
	}
	return found
}

// readPieces reads a range with the grains that pieces found.  Needs the mutex only when the view is the current one.
func (v *volume) readPieces(buffer []byte, offset int64, found []piece) error {
	if err := v.readBase(buffer, offset); err != nil {
		return err
	}
	grain := make([]byte, grainBytes)
	for _, p := range found {
		if err := v.readVersion(grain, p.from); err != nil {
			return err
		}
		start := p.grain*grainBytes - offset
		if start < 0 {
			copy(buffer, grain[-start:])
		} else {
			copy(buffer[start:], grain)
		}
	}
	return nil
}

// written lists, in order, the grains with a version in one of the given eras.  O(grains ever written).
func (v *volume) written(in view) []int64 {
	var found []int64
	for grain := range v.grains {
		if _, ok := v.at(grain, in); ok {
			found = append(found, grain)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i] < found[j] })
	return found
}

// allocated lists the areas of the base file that are no holes; asked of the file system once.
func (v *volume) allocated() ([]extent, error) {
	if v.scanned || v.base == nil {
		return v.used, nil
	}
	const seekData, seekHole = 3, 4
	for at := int64(0); at < v.baseSize; {
		start, err := v.base.Seek(at, seekData)
		if err != nil {
			if pathErr, ok := err.(*os.PathError); ok && pathErr.Err == syscall.ENXIO {
				break // a hole up to the end
			}
			return nil, err
		}
		end, err := v.base.Seek(start, seekHole)
		if err != nil {
			return nil, err
		}
		v.used = append(v.used, extent{start, end})
		at = end
	}
	v.scanned = true
	return v.used, nil
}

// stored is what a thin disk takes on its datastore: the used part of the base and all grains of the chain.
func (v *volume) stored(size int64) int64 {
	used, err := v.allocated()
	if err != nil {
		return size
	}
	total := int64(len(v.grains)) * grainBytes
	for _, e := range used {
		total += e.end - e.start
	}
	if total > size {
		return size
	}
	return total
}
