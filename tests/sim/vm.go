package main

import (
	"fmt"
	"path"
	"strconv"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// From the model to the properties of the managed objects.  refresh is called, with the mutex held, after every change.

// placeInInventory hangs a new VM into folder, host, pool and datastores.
func (vm *VM) placeInInventory() {
	dc := simulator.Map.Any("Datacenter").(*simulator.Datacenter)
	folder := subfolder(simulator.Map.Get(dc.VmFolder).(*simulator.Folder), vm.spec.Folder)
	host := vm.world.host
	vm.Parent = &folder.Self
	folder.ChildEntity = append(folder.ChildEntity, vm.Self)
	host.Vm = append(host.Vm, vm.Self)
	hostRef := host.Self
	vm.Runtime.Host = &hostRef
	if pool, ok := simulator.Map.Any("ResourcePool").(*simulator.ResourcePool); ok && !vm.spec.Template {
		poolRef := pool.Self
		vm.ResourcePool = &poolRef
		pool.Vm = append(pool.Vm, vm.Self)
	}
}

// home is the datastore and folder with the VM's own files.
func (vm *VM) home() (string, string) {
	if len(vm.spec.Disks) > 0 {
		d := vm.spec.Disks[0]
		return d.Datastore, path.Dir(d.VMDK)
	}
	return vm.world.spec.Datastores[0], vm.Name
}

func (vm *VM) file(suffix string) string {
	_, dir := vm.home()
	return path.Join(dir, vm.Name+suffix)
}

func (vm *VM) filePath(suffix string) string {
	datastore, _ := vm.home()
	return fmt.Sprintf("[%s] %s", datastore, vm.file(suffix))
}

func (vm *VM) config(s *snapshot) types.VirtualMachineConfigInfo {
	vm.changeVersion++
	datastore, dir := vm.home()
	folder := fmt.Sprintf("[%s] %s", datastore, dir)
	c := types.VirtualMachineConfigInfo{ChangeVersion: strconv.Itoa(vm.changeVersion), Modified: time.Now().UTC(), Name: vm.Name,
		GuestFullName: "Debian GNU/Linux 11 (64-bit)", GuestId: "debian11_64Guest", Version: "vmx-19",
		Uuid: namedUUID("bios", vm.Name), InstanceUuid: vm.spec.InstanceUUID, Template: vm.spec.Template, Firmware: vm.spec.Firmware,
		Files: types.VirtualMachineFileInfo{VmPathName: vm.filePath(".vmx"), SnapshotDirectory: folder, SuspendDirectory: folder,
			LogDirectory: folder},
		ChangeTrackingEnabled: boolPtr(vm.cbt)}
	if c.InstanceUuid == "" {
		c.InstanceUuid = namedUUID("instance", vm.Name)
	}
	c.Hardware = types.VirtualHardware{NumCPU: 2, NumCoresPerSocket: 1, MemoryMB: 2048, Device: vm.devices(s)}
	for _, d := range vm.disks {
		if d.keyID != "" {
			c.KeyId = &types.CryptoKeyId{KeyId: d.keyID, ProviderId: &types.KeyProviderId{Id: "kms"}}
		}
	}
	option := func(key, value string) {
		c.ExtraConfig = append(c.ExtraConfig, &types.OptionValue{Key: key, Value: value})
	}
	option("nvram", path.Base(vm.file(".nvram")))
	if vm.cbt {
		option("ctkEnabled", "true")
	}
	return c
}

func (vm *VM) layoutFiles() []types.VirtualMachineFileLayoutExFileInfo {
	var files []types.VirtualMachineFileLayoutExFileInfo
	add := func(name, kind string, size int64) {
		files = append(files, types.VirtualMachineFileLayoutExFileInfo{Key: int32(len(files)), Name: name, Type: kind, Size: size,
			UniqueSize: size, Accessible: boolPtr(true)})
	}
	add(vm.filePath(".vmx"), "config", int64(len(vm.vmx())))
	if len(vm.nvram) > 0 {
		add(vm.filePath(".nvram"), "nvram", int64(len(vm.nvram)))
	}
	for _, l := range vm.links {
		add(l.path(), "diskDescriptor", int64(len(l.descriptor())))
		add(fmt.Sprintf("[%s] %s", l.datastore, l.extent()), "diskExtent", l.size)
	}
	return files
}

// storage is what the VM takes, as of the last change of its configuration: a vCenter is late with it, too.
func (vm *VM) storage() *types.VirtualMachineStorageSummary {
	var committed, uncommitted int64
	for _, d := range vm.disks {
		used := d.Size
		if *d.Thin {
			used = d.volume.stored(d.Size)
		}
		committed += used
		uncommitted += d.Size - used
	}
	return &types.VirtualMachineStorageSummary{Committed: committed, Uncommitted: uncommitted, Unshared: committed, Timestamp: time.Now().UTC()}
}

// vmx is a short form of the configuration file, as far as a reader of it may care.
func (vm *VM) vmx() string {
	text := ".encoding = \"UTF-8\"\nconfig.version = \"8\"\nvirtualHW.version = \"19\"\n"
	text += fmt.Sprintf("displayName = \"%s\"\nguestOS = \"debian11-64\"\nfirmware = \"%s\"\n", vm.Name, vm.spec.Firmware)
	if len(vm.nvram) > 0 {
		text += fmt.Sprintf("nvram = \"%s\"\n", path.Base(vm.file(".nvram")))
	}
	for _, d := range vm.disks {
		for _, c := range vm.controllers {
			if c.Key == d.Controller {
				bus := map[string]string{"ide": "ide", "ahci": "sata", "nvme": "nvme"}[c.Type]
				if bus == "" {
					bus = "scsi"
				}
				text += fmt.Sprintf("%s%d:%d.fileName = \"%s\"\n", bus, c.Bus, d.Unit, path.Base(d.live.name))
			}
		}
	}
	return text
}

// refresh makes every property anew; whoever still reads the old ones reads something whole.
func (vm *VM) refresh() {
	config := vm.config(nil)
	vm.Config = &config
	supported := *vm.spec.CBTSupported
	vm.Capability = types.VirtualMachineCapability{SnapshotOperationsSupported: true, MultipleSnapshotsSupported: true,
		SnapshotConfigSupported: true, PoweredOffSnapshotsSupported: true, MemorySnapshotsSupported: true,
		RevertToSnapshotSupported: true, QuiescedSnapshotsSupported: true, LockSnapshotsSupported: false,
		ChangeTrackingSupported: &supported, DiskSharesSupported: true}
	runtime := vm.Runtime
	runtime.PowerState = vm.power
	runtime.ConnectionState = types.VirtualMachineConnectionState(vm.spec.Connection)
	runtime.ConsolidationNeeded = boolPtr(vm.needsConsolidation)
	vm.Runtime = runtime
	running := string(types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
	if *vm.spec.Tools && vm.power == types.VirtualMachinePowerStatePoweredOn {
		running = string(types.VirtualMachineToolsRunningStatusGuestToolsRunning)
	}
	vm.Guest = &types.GuestInfo{ToolsStatus: types.VirtualMachineToolsStatusToolsOk, ToolsRunningStatus: running, ToolsVersion: "12325",
		GuestState: "running", GuestId: config.GuestId, GuestFullName: config.GuestFullName}
	vm.LayoutEx = &types.VirtualMachineFileLayoutEx{File: vm.layoutFiles(), Timestamp: time.Now().UTC()}
	var datastores []types.ManagedObjectReference
	seen := map[string]bool{}
	for _, l := range vm.links {
		if !seen[l.datastore] {
			seen[l.datastore] = true
			datastores = append(datastores, vm.world.datastores[l.datastore].Self)
		}
	}
	vm.Datastore = datastores
	vm.Summary.Vm, vm.Summary.Runtime = &vm.Self, runtime
	vm.Summary.Config = types.VirtualMachineConfigSummary{Name: vm.Name, Template: config.Template, VmPathName: config.Files.VmPathName,
		Uuid: config.Uuid, InstanceUuid: config.InstanceUuid, GuestId: config.GuestId, NumVirtualDisks: int32(len(vm.disks))}
	vm.Summary.Storage = vm.storage()
	vm.Snapshot, vm.RootSnapshot = nil, nil
	if len(vm.snapshots) > 0 {
		info := &types.VirtualMachineSnapshotInfo{RootSnapshotList: vm.tree(nil)}
		if vm.current != nil {
			ref := vm.current.object.Self
			info.CurrentSnapshot = &ref
		}
		vm.Snapshot = info
	}
	for _, s := range vm.snapshots {
		s.object.Config = vm.config(s)
		var children []types.ManagedObjectReference
		for _, child := range vm.snapshots {
			if child.parent == s {
				children = append(children, child.object.Self)
			}
		}
		s.object.ChildSnapshot = children
		if s.parent == nil {
			vm.RootSnapshot = append(vm.RootSnapshot, s.object.Self)
		}
	}
}
