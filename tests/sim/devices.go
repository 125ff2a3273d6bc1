package main

import (
	"fmt"

	"github.com/vmware/govmomi/vim25/types"
)

// From the model to config.hardware.device, made anew on every change.

func unitPtr(unit int32) *int32 { return &unit }

func describe(label, summary string) *types.Description {
	return &types.Description{Label: label, Summary: summary}
}

// controllerDevice makes the device of one controller.
func controllerDevice(c controllerSpec, disks []int32) types.BaseVirtualDevice {
	base := types.VirtualController{BusNumber: c.Bus, Device: disks}
	base.Key = c.Key
	base.ControllerKey, base.UnitNumber = 100, unitPtr(3+c.Bus)
	scsi := types.VirtualSCSIController{VirtualController: base, HotAddRemove: boolPtr(true),
		SharedBus: types.VirtualSCSISharing(c.Sharing), ScsiCtlrUnitNumber: 7}
	switch c.Type {
	case "pvscsi":
		scsi.DeviceInfo = describe(fmt.Sprintf("SCSI controller %d", c.Bus), "VMware paravirtual SCSI")
		return &types.ParaVirtualSCSIController{VirtualSCSIController: scsi}
	case "lsilogic":
		scsi.DeviceInfo = describe(fmt.Sprintf("SCSI controller %d", c.Bus), "LSI Logic")
		return &types.VirtualLsiLogicController{VirtualSCSIController: scsi}
	case "lsilogicsas":
		scsi.DeviceInfo = describe(fmt.Sprintf("SCSI controller %d", c.Bus), "LSI Logic SAS")
		return &types.VirtualLsiLogicSASController{VirtualSCSIController: scsi}
	case "ahci":
		base.DeviceInfo = describe(fmt.Sprintf("SATA controller %d", c.Bus), "AHCI")
		return &types.VirtualAHCIController{VirtualSATAController: types.VirtualSATAController{VirtualController: base}}
	case "nvme":
		base.DeviceInfo = describe(fmt.Sprintf("NVME controller %d", c.Bus), "NVME controller")
		return &types.VirtualNVMEController{VirtualController: base}
	default:
		base.DeviceInfo = describe(fmt.Sprintf("IDE %d", c.Bus), fmt.Sprintf("IDE %d", c.Bus))
		base.ControllerKey, base.UnitNumber = 0, nil
		return &types.VirtualIDEController{VirtualController: base}
	}
}

// fixedDevices are those that every VM has.
func fixedDevices(vm *VM) []types.BaseVirtualDevice {
	var devices []types.BaseVirtualDevice
	has := func(key int32) bool {
		for _, c := range vm.controllers {
			if c.Key == key {
				return true
			}
		}
		return false
	}
	for bus := int32(0); bus < 2; bus++ {
		if !has(200 + bus) {
			devices = append(devices, controllerDevice(controllerSpec{Key: 200 + bus, Type: "ide", Bus: bus}, nil))
		}
	}
	ps2 := &types.VirtualPS2Controller{}
	ps2.Key, ps2.DeviceInfo = 300, describe("PS2 controller 0", "PS2 controller 0")
	pci := &types.VirtualPCIController{}
	pci.Key, pci.DeviceInfo = 100, describe("PCI controller 0", "PCI controller 0")
	sio := &types.VirtualSIOController{}
	sio.Key, sio.DeviceInfo = 400, describe("SIO controller 0", "SIO controller 0")
	keyboard := &types.VirtualKeyboard{}
	keyboard.Key, keyboard.DeviceInfo, keyboard.ControllerKey = 600, describe("Keyboard", "Keyboard"), 300
	keyboard.UnitNumber = unitPtr(0)
	video := &types.VirtualMachineVideoCard{VideoRamSizeInKB: 8192}
	video.Key, video.DeviceInfo, video.ControllerKey = 500, describe("Video card", "Video card"), 100
	video.UnitNumber = unitPtr(0)
	nic := &types.VirtualVmxnet3{}
	nic.Key, nic.DeviceInfo, nic.ControllerKey = 4000, describe("Network adapter 1", "VM Network"), 100
	nic.UnitNumber = unitPtr(7)
	nic.Backing = &types.VirtualEthernetCardNetworkBackingInfo{
		VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: "VM Network"}}
	sum := namedUUID("mac", vm.Name)
	nic.AddressType, nic.MacAddress = "assigned", fmt.Sprintf("00:50:56:%s:%s:%s", sum[:2], sum[2:4], sum[4:6])
	return append(devices, ps2, pci, sio, keyboard, video, nic)
}

// flatBacking describes a link and, below it, its parents.
func (w *world) flatBacking(d *disk, l *link, changeID string) *types.VirtualDiskFlatVer2BackingInfo {
	b := &types.VirtualDiskFlatVer2BackingInfo{DiskMode: d.Mode, Split: boolPtr(false), WriteThrough: boolPtr(false),
		ThinProvisioned: boolPtr(*d.Thin), EagerlyScrub: boolPtr(false), Uuid: d.UUID, ContentId: d.content, ChangeId: changeID,
		DigestEnabled: boolPtr(false), Sharing: d.Sharing}
	b.FileName = l.path()
	ref := w.datastores[l.datastore].Self
	b.Datastore = &ref
	if d.keyID != "" {
		b.KeyId = &types.CryptoKeyId{KeyId: d.keyID, ProviderId: &types.KeyProviderId{Id: "kms"}}
	}
	switch l.format {
	case deltaCOWD:
		b.DeltaDiskFormat = "redoLogFormat"
	case deltaSESparse, deltaRefused:
		b.DeltaDiskFormat, b.DeltaGrainSize = "seSparseFormat", grainBytes/sectorBytes
	}
	if l.parent != nil {
		b.Parent = w.flatBacking(d, l.parent, "")
	}
	return b
}

func (w *world) rdmBacking(d *disk, l *link, changeID string) *types.VirtualDiskRawDiskMappingVer1BackingInfo {
	b := &types.VirtualDiskRawDiskMappingVer1BackingInfo{LunUuid: "0200" + d.content, DeviceName: "vml.0200" + d.content,
		CompatibilityMode: d.RDM + "Mode", DiskMode: d.Mode, Uuid: d.UUID, ContentId: d.content, ChangeId: changeID, Sharing: d.Sharing}
	b.FileName = l.path()
	ref := w.datastores[l.datastore].Self
	b.Datastore = &ref
	if l.parent != nil {
		b.Parent = w.rdmBacking(d, l.parent, "")
	}
	return b
}

// diskDevice is a disk with the given link on top.
func (vm *VM) diskDevice(d *disk, l *link, changeID string) types.BaseVirtualDevice {
	device := &types.VirtualDisk{CapacityInKB: l.size / 1024, CapacityInBytes: l.size,
		DiskObjectId: fmt.Sprintf("%s-%d", vm.Self.Value, d.Key)}
	device.Key = d.Key
	device.DeviceInfo = describe(d.Label, fmt.Sprintf("%d KB", device.CapacityInKB))
	device.ControllerKey, device.UnitNumber = d.Controller, unitPtr(d.Unit)
	device.Shares = &types.SharesInfo{Shares: 1000, Level: types.SharesLevelNormal}
	device.NativeUnmanagedLinkedClone = boolPtr(false)
	if d.RDM != "" {
		device.Backing = vm.world.rdmBacking(d, l, changeID)
	} else {
		device.Backing = vm.world.flatBacking(d, l, changeID)
	}
	return device
}

// devices lists the hardware; with a snapshot, the hardware as it was then.  Disks stand last attached first, because
// the order of the list means nothing and a client must not believe that it does.
func (vm *VM) devices(s *snapshot) []types.BaseVirtualDevice {
	onController := map[int32][]int32{}
	var disks []types.BaseVirtualDevice
	add := func(d *disk, l *link, changeID string) {
		onController[d.Controller] = append(onController[d.Controller], d.Key)
		disks = append([]types.BaseVirtualDevice{vm.diskDevice(d, l, changeID)}, disks...)
	}
	if s == nil {
		for _, d := range vm.disks {
			add(d, d.live, d.track.changeID(d.volume.era))
		}
	} else {
		for i := range s.disks {
			id := s.disks[i].changeID
			if vm.world.settings.NoChangeIDs {
				id = ""
			}
			add(&s.disks[i].disk, s.disks[i].link, id)
		}
	}
	devices := fixedDevices(vm)
	for _, c := range vm.controllers {
		devices = append(devices, controllerDevice(c, onController[c.Key]))
	}
	return append(devices, disks...)
}
