package main

import (
	"encoding/binary"
)

// The two formats in which ESXi keeps what was written after a snapshot.  Only the tables are built; the grains are read
// where they are.

const tableEntries = 4096

// deltaFile makes the file of a delta that can be read: frozen, or of a VM that does not run.  Needs the mutex.
func (l *link) deltaFile() *fileMap {
	if l.cached != nil && (!l.live || l.cachedAt == l.volume.writes) {
		return l.cached
	}
	own := view{l.own, l.size}
	grains := l.volume.written(own)
	if l.format == deltaCOWD {
		l.cached = l.cowd(grains, own)
	} else {
		l.cached = l.seSparse(grains, own)
	}
	l.cachedAt = l.volume.writes
	return l.cached
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }

// cowd: a header of four sectors, a grain directory, tables of 4096 sectors each, then the sectors themselves.
func (l *link) cowd(grains []int64, own view) *fileMap {
	const directoryAt = 4
	const tableSectors = tableEntries * 4 / sectorBytes
	const perGrain = grainBytes / sectorBytes
	le := binary.LittleEndian
	sectors := l.size / sectorBytes
	directory := make([]byte, roundUp((sectors+tableEntries-1)/tableEntries*4, sectorBytes))
	file := &fileMap{volume: l.volume}
	next := directoryAt + int64(len(directory))/sectorBytes
	tables := map[int64][]byte{}
	var order []int64
	for _, g := range grains {
		table := g * perGrain / tableEntries
		if tables[table] == nil {
			tables[table] = make([]byte, tableEntries*4)
			le.PutUint32(directory[table*4:], uint32(next))
			order = append(order, table)
			next += tableSectors
		}
	}
	dataAt := next
	for _, g := range grains {
		for i := int64(0); i < perGrain && g*perGrain+i < sectors; i++ {
			sector := g*perGrain + i
			le.PutUint32(tables[sector/tableEntries][sector%tableEntries*4:], uint32(next+i))
		}
		next += perGrain
	}
	header := make([]byte, directoryAt*sectorBytes)
	copy(header, "COWD")
	for i, value := range []int64{1, 3, sectors, 1, directoryAt, (sectors + tableEntries - 1) / tableEntries, next,
		sectors / (255 * 63), 255, 63} {
		le.PutUint32(header[4+4*i:], uint32(value))
	}
	file.add(0, header)
	file.add(directoryAt*sectorBytes, directory)
	for _, table := range order {
		at := int64(le.Uint32(directory[table*4:]))
		file.add(at*sectorBytes, tables[table])
	}
	for i, g := range grains {
		from, _ := l.volume.at(g, own)
		file.addGrain((dataAt+int64(i)*perGrain)*sectorBytes, from)
	}
	file.total = next * sectorBytes
	return file
}

// Places inside of a SESparse file, in sectors.
const (
	seVolatileAt    = 1
	seJournalHeadAt = 2
	seJournalAt     = 2048
	seDirectoryAt   = 4096
)

// seSparse: a header, a volatile header, a journal, directory, tables, free bitmap, back map, then grains of 4 KiB.
func (l *link) seSparse(grains []int64, own view) *fileMap {
	const tableBytes = tableEntries * 8
	const tableSectors = tableBytes / sectorBytes
	le := binary.LittleEndian
	capacity := roundUp(l.size, grainBytes) / grainBytes
	directory := make([]byte, roundUp((capacity+tableEntries-1)/tableEntries*8, sectorBytes))
	tables := map[int64][]byte{}
	var order []int64
	var stored []version
	for _, g := range grains {
		table := g / tableEntries
		if tables[table] == nil {
			tables[table] = make([]byte, tableBytes)
			le.PutUint64(directory[table*8:], 0x1000000000000000|uint64(len(order)))
			order = append(order, table)
		}
		from, _ := l.volume.at(g, own)
		entry := uint64(2) << 60 // zeroes
		if from.position >= 0 {
			index := uint64(len(stored))
			entry = 3<<60 | (index&0xfff)<<48 | index>>12
			stored = append(stored, from)
		}
		le.PutUint64(tables[table][g%tableEntries*8:], entry)
	}
	tablesAt := roundUp(seDirectoryAt+int64(len(directory))/sectorBytes, 8)
	tablesSize := (capacity + tableEntries - 1) / tableEntries * tableSectors
	bitmapAt := tablesAt + tablesSize
	bitmapSize := roundUp(roundUp(capacity, 8)/8, grainBytes) / sectorBytes
	backAt := bitmapAt + bitmapSize
	backSize := roundUp(capacity*8, grainBytes) / sectorBytes
	grainsAt := backAt + backSize
	header := make([]byte, sectorBytes)
	for i, value := range []int64{0xcafebabe, 0x200000001, l.size / sectorBytes, grainBytes / sectorBytes, tableSectors, 0, 0, 0, 0, 0,
		seVolatileAt, 1, seJournalHeadAt, 2, seJournalAt, 2048, seDirectoryAt, int64(len(directory)) / sectorBytes,
		tablesAt, tablesSize, bitmapAt, bitmapSize, backAt, backSize, grainsAt, capacity * grainBytes / sectorBytes} {
		le.PutUint64(header[8*i:], uint64(value))
	}
	volatileHeader := make([]byte, sectorBytes)
	le.PutUint64(volatileHeader, 0xcafecafe)
	le.PutUint64(volatileHeader[8:], uint64(len(order)))
	file := &fileMap{volume: l.volume}
	file.add(0, header)
	file.add(seVolatileAt*sectorBytes, volatileHeader)
	file.add(seDirectoryAt*sectorBytes, directory)
	for i, table := range order {
		file.add((tablesAt+int64(i)*tableSectors)*sectorBytes, tables[table])
	}
	for i, from := range stored {
		file.addGrain(grainsAt*sectorBytes+int64(i)*grainBytes, from)
	}
	file.total = grainsAt*sectorBytes + int64(len(stored))*grainBytes
	return file
}
