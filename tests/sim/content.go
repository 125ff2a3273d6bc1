package main

import (
	"crypto/aes"
	"crypto/cipher"
	"sort"
)

// Contents of files as a datastore or the witness hands them out: something with a size that can be read anywhere.

type content interface {
	size() int64
	read(buffer []byte, offset int64) error // the range lies inside
}

// text is a small file.
type text []byte

func (t text) size() int64 { return int64(len(t)) }
func (t text) read(buffer []byte, offset int64) error {
	copy(buffer, t[offset:])
	return nil
}

// image is the raw contents of a disk at a moment.
type image struct {
	world  *world
	volume *volume
	view   view
	moving bool // the current contents: the guest may write meanwhile
}

func (m *image) size() int64 { return m.view.size }

func (m *image) read(buffer []byte, offset int64) error {
	m.world.mu.Lock()
	found := m.volume.pieces(offset, int64(len(buffer)), m.view)
	if m.moving {
		defer m.world.mu.Unlock()
	} else {
		m.world.mu.Unlock()
	}
	return m.volume.readPieces(buffer, offset, found)
}

// segment is a stretch of a file made of parts.
type segment struct {
	offset int64
	data   []byte // nil: a grain
	from   version
}

func (s *segment) length() int64 {
	if s.data != nil {
		return int64(len(s.data))
	}
	return grainBytes
}

// fileMap is a file whose parts are tables in memory and grains of a volume; zeroes between them.
type fileMap struct {
	volume   *volume
	total    int64
	segments []segment // in rising order
}

func (f *fileMap) size() int64 { return f.total }

func (f *fileMap) add(offset int64, data []byte) {
	f.segments = append(f.segments, segment{offset: offset, data: data})
}

func (f *fileMap) addGrain(offset int64, from version) {
	f.segments = append(f.segments, segment{offset: offset, from: from})
}

func (f *fileMap) read(buffer []byte, offset int64) error {
	for i := range buffer {
		buffer[i] = 0
	}
	end := offset + int64(len(buffer))
	grain := make([]byte, grainBytes)
	first := sort.Search(len(f.segments), func(i int) bool { return f.segments[i].offset+f.segments[i].length() > offset })
	for i := first; i < len(f.segments) && f.segments[i].offset < end; i++ {
		s := &f.segments[i]
		data := s.data
		if data == nil {
			if err := f.volume.readVersion(grain, s.from); err != nil {
				return err
			}
			data = grain
		}
		if s.offset < offset {
			copy(buffer, data[offset-s.offset:])
		} else {
			copy(buffer[s.offset-offset:], data)
		}
	}
	return nil
}

// scrambled is what a datastore hands out of an encrypted disk: bytes that are of no use without the key.
type scrambled struct {
	content
	secret []byte
}

func (s scrambled) read(buffer []byte, offset int64) error {
	if err := s.content.read(buffer, offset); err != nil {
		return err
	}
	block, err := aes.NewCipher(s.secret)
	if err != nil {
		return err
	}
	counter := make([]byte, aes.BlockSize)
	for i, n := 15, uint64(offset/aes.BlockSize); n > 0; i, n = i-1, n>>8 {
		counter[i] = byte(n)
	}
	stream := cipher.NewCTR(block, counter)
	skip := make([]byte, offset%aes.BlockSize)
	stream.XORKeyStream(skip, skip)
	stream.XORKeyStream(buffer, buffer)
	return nil
}
