package main

import (
	"encoding/hex"
	"fmt"
	"path"
	"strings"
)

// descriptor is the text of a link's .vmdk file.
func (l *link) descriptor() string {
	kind, extent := "vmfs", "VMFS"
	switch {
	case l.rdm == "physical":
		kind, extent = "vmfsPassthroughRawDeviceMap", "VMFSRDM"
	case l.rdm == "virtual":
		kind, extent = "vmfsRawDeviceMap", "VMFSRDM"
	case l.format == deltaCOWD:
		kind, extent = "vmfsSparse", "VMFSSPARSE"
	case l.format != formatFlat:
		kind, extent = "seSparse", "SESPARSE"
	}
	version, parentCID := 1, uint32(0xffffffff)
	var b strings.Builder
	if l.parent != nil {
		version, parentCID = 3, l.parent.cid
	}
	fmt.Fprintf(&b, "# Disk DescriptorFile\nversion=%d\nencoding=\"UTF-8\"\nCID=%08x\nparentCID=%08x\n", version, l.cid, parentCID)
	if l.parent != nil {
		fmt.Fprintf(&b, "isNativeSnapshot=\"no\"\n")
	}
	fmt.Fprintf(&b, "createType=\"%s\"\n", kind)
	if l.parent != nil {
		fmt.Fprintf(&b, "parentFileNameHint=\"%s\"\n", l.hint())
	}
	fmt.Fprintf(&b, "# Extent description\nRW %d %s \"%s\"\n", l.size/sectorBytes, extent, path.Base(l.extent()))
	if l.disk.track.id != "" {
		stem := strings.TrimSuffix(path.Base(l.name), ".vmdk")
		fmt.Fprintf(&b, "\n# Change Tracking File\nchangeTrackPath=\"%s-ctk.vmdk\"\n", stem)
	}
	fmt.Fprintf(&b, "\n# The Disk Data Base \n#DDB\n\n")
	if l.parent == nil {
		fmt.Fprintf(&b, "ddb.adapterType = \"lsilogic\"\nddb.geometry.cylinders = \"%d\"\nddb.geometry.heads = \"255\"\n"+
			"ddb.geometry.sectors = \"63\"\n", l.size/sectorBytes/(255*63))
	}
	fmt.Fprintf(&b, "ddb.longContentID = \"%s\"\n", l.disk.content[:24]+fmt.Sprintf("%08x", l.cid))
	if l.parent == nil {
		if *l.disk.Thin {
			fmt.Fprintf(&b, "ddb.thinProvisioned = \"1\"\n")
		}
		fmt.Fprintf(&b, "ddb.uuid = \"%s\"\nddb.virtualHWVersion = \"19\"\n", spacedUUID(l.disk.UUID))
	}
	return b.String()
}

// spacedUUID writes a disk's uuid as the disk data base does.
func spacedUUID(uuid string) string {
	b, err := hex.DecodeString(strings.ReplaceAll(uuid, "-", ""))
	if err != nil || len(b) != 16 {
		return uuid
	}
	return fmt.Sprintf("% x-% x", b[:8], b[8:])
}
