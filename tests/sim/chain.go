package main

import (
	"fmt"
	"math"
	"path"
	"strings"
)

// A link is one .vmdk of a disk's chain: the base, or a delta that a snapshot made.  Links form a tree, as snapshots do.
// Merging moves eras from one link to another; no byte is copied.

// Formats of the file that holds a link's data.
const (
	formatFlat    = "flat"
	deltaSESparse = "sesparse"
	deltaCOWD     = "vmfssparse"
	deltaRefused  = "refused" // a SESparse delta that the datastore does not hand out
)

type link struct {
	volume    *volume
	parent    *link
	own       []eras // written into this file; the base also has everything before
	live      bool   // the running VM writes here
	datastore string
	name      string // of the descriptor, relative to the datastore
	format    string
	rdm       string
	cid       uint32
	size      int64
	disk      *disk // for what the descriptor says; the disk may have left the VM meanwhile
	cached    *fileMap
	cachedAt  uint64
}

// view is what a guest would read from this link and its parents.
func (l *link) view() view {
	var all []eras
	if l.parent != nil {
		all = append(all, l.parent.view().eras...)
	}
	return view{append(all, l.own...), l.size}
}

// freeze ends the live link and gives the disk a new one on top of it.
func (d *disk) freeze(vm *VM, format string) *link {
	frozen := d.live
	frozen.live, frozen.cached = false, nil
	frozen.own[len(frozen.own)-1].last = d.volume.era
	d.live = d.grow(vm, frozen, format)
	return frozen
}

// grow makes a live link on top of parent.
func (d *disk) grow(vm *VM, parent *link, format string) *link {
	top := &link{volume: d.volume, parent: parent, live: true, datastore: parent.datastore, format: format, size: parent.size,
		own: []eras{{d.volume.nextEra(), math.MaxUint32}}, cid: vm.world.newCID(), disk: d}
	top.name = vm.deltaName(d, parent)
	vm.links = append(vm.links, top)
	return top
}

// deltaName takes the lowest number that no link of this disk uses.
func (vm *VM) deltaName(d *disk, parent *link) string {
	base := parent
	for base.parent != nil {
		base = base.parent
	}
	stem := strings.TrimSuffix(base.name, ".vmdk")
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s-%06d.vmdk", stem, n)
		taken := false
		for _, l := range vm.links {
			taken = taken || l.name == name && l.datastore == base.datastore
		}
		if !taken {
			return name
		}
	}
}

// path is the name as the API gives it.
func (l *link) path() string { return fmt.Sprintf("[%s] %s", l.datastore, l.name) }

// extent is the name of the file with the data.
func (l *link) extent() string {
	stem := strings.TrimSuffix(l.name, ".vmdk")
	switch {
	case l.rdm == "physical":
		return stem + "-rdmp.vmdk"
	case l.rdm == "virtual":
		return stem + "-rdm.vmdk"
	case l.format == formatFlat:
		return stem + "-flat.vmdk"
	case l.format == deltaCOWD:
		return stem + "-delta.vmdk"
	default:
		return stem + "-sesparse.vmdk"
	}
}

// children lists the links that stand on l.
func (vm *VM) children(l *link) []*link {
	var found []*link
	for _, c := range vm.links {
		if c.parent == l {
			found = append(found, c)
		}
	}
	return found
}

func (vm *VM) dropLink(l *link) {
	for i, other := range vm.links {
		if other == l {
			vm.links = append(vm.links[:i:i], vm.links[i+1:]...)
			return
		}
	}
}

// orphans lists the frozen links that no snapshot refers to and that can be merged or dropped.
func (vm *VM) orphans() []*link {
	held := map[*link]bool{}
	for _, s := range vm.snapshots {
		for _, d := range s.disks {
			held[d.link] = true
		}
	}
	var found []*link
	for _, l := range vm.links {
		if !l.live && !held[l] && len(vm.children(l)) < 2 {
			found = append(found, l)
		}
	}
	return found
}

// consolidate merges every orphan with the link above it, which takes over the orphan's file.
func (vm *VM) consolidate() {
	for found := vm.orphans(); len(found) > 0; found = vm.orphans() {
		l := found[0]
		for _, child := range vm.children(l) {
			child.own = append(append([]eras{}, l.own...), child.own...)
			child.parent, child.name, child.datastore = l.parent, l.name, l.datastore
			child.format, child.rdm, child.cid = l.format, l.rdm, l.cid
			child.cached = nil
		}
		vm.dropLink(l)
	}
	vm.needsConsolidation = false
}

// hint is how a delta's descriptor names its parent.
func (l *link) hint() string {
	if path.Dir(l.name) == path.Dir(l.parent.name) && l.datastore == l.parent.datastore {
		return path.Base(l.parent.name)
	}
	return fmt.Sprintf("/vmfs/volumes/%s/%s", l.parent.datastore, l.parent.name)
}
