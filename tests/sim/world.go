package main

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// The world is the state of the simulated data centre.  One mutex guards all of it: guest writes, snapshots, tasks and
// what the property collector reads.  What leaves the lock is never changed afterwards, only replaced.

type world struct {
	mu         sync.Mutex
	spec       *spec
	vms        []*VM
	datastores map[string]*simulator.Datastore
	host       *simulator.HostSystem
	settings   settings
	faults     []*fault
	sessions   map[string]time.Time // cookie value to last use
	counters   counters
	nextID     int
}

// settings can be changed while the simulator runs.
type settings struct {
	TaskDelayMs    int    `json:"task_delay_ms"`
	AreaLimit      int    `json:"area_limit"`
	PageLimit      int    `json:"page_limit"`
	TaskKeepMs     int    `json:"task_keep_ms"` // 0: finished tasks are kept for ever
	FolderDelayMs  int    `json:"folder_delay_ms"`
	SessionLimit   int    `json:"session_limit"`
	SessionIdleMs  int    `json:"session_idle_ms"`
	Consolidation  string `json:"consolidation"`
	RevertKeepsCBT bool   `json:"revert_keeps_cbt"`
	OverlapLoses   bool   `json:"overlap_loses_writes"`   // a diff to a snapshot that stood when the next was taken is empty
	CBTNoSnapshots bool   `json:"cbt_needs_no_snapshots"` // as older servers: tracking is not turned on below snapshots
	NoChangeIDs    bool   `json:"no_change_ids"`          // snapshots are told without, although tracking is on
	DeltaFormat    string `json:"delta_format"`
}

type counters struct {
	logins, logouts, failedLogins int
	requests                      map[string]int
	folderRequests                int
	folderNow, folderMost         int
	folderBytes                   int64
	folderByFile                  map[string]*fileCount
}

type fileCount struct {
	Requests int   `json:"requests"`
	Bytes    int64 `json:"bytes"`
}

// VM is the managed object and the model behind it.
type VM struct {
	mo.VirtualMachine

	world              *world
	spec               vmSpec
	power              types.VirtualMachinePowerState
	cbt                bool // config.changeTrackingEnabled
	cbtPending         bool // on, but not before the next stun
	controllers        []controllerSpec
	disks              []*disk
	links              []*link
	snapshots          []*snapshot
	current            *snapshot
	history            map[string][]frozenDisk // witness: name of a snapshot to what it froze
	needsConsolidation bool
	busy               *Task
	snapshotID         int32
	nvram              []byte
	guestStop          chan struct{}
	guestCounter       uint64
	changeVersion      int
}

// disk is a virtual disk of the running VM.
type disk struct {
	diskSpec
	volume  *volume
	live    *link
	track   tracking
	keyID   string // encrypted: the key's name
	secret  []byte // encrypted: what /folder scrambles with
	content string // contentId
	hidden  []extent
	hide    float64
}

// tracking is the change tracking of one disk; no id, no tracking.
type tracking struct {
	id   string
	from uint32 // first era that is tracked
	late bool   // what was written before is not known, and never will be
}

// frozenDisk is a disk as one snapshot saw it.
type frozenDisk struct {
	disk     disk // a copy
	link     *link
	view     view // survives the removal of the snapshot
	excluded bool // the snapshot does not hold it
	changeID string
	era      uint32
	below    map[uint32]bool // eras of the snapshots that stood when this one was taken
}

// Lock and Unlock make the simulator hold the world's mutex while it calls a method or reads properties.
func (vm *VM) Lock()   { vm.world.mu.Lock() }
func (vm *VM) Unlock() { vm.world.mu.Unlock() }

func newWorld(s *spec) (*world, error) {
	w := &world{spec: s, datastores: map[string]*simulator.Datastore{}, sessions: map[string]time.Time{}}
	w.settings = settings{TaskDelayMs: s.TaskDelayMs, AreaLimit: s.AreaLimit, PageLimit: s.PageLimit, Consolidation: consolidationNormal,
		DeltaFormat: deltaSESparse}
	w.resetCounters()
	if err := w.nameInventory(); err != nil {
		return nil, err
	}
	for i := range s.VMs {
		if err := w.addVM(&s.VMs[i]); err != nil {
			return nil, fmt.Errorf("vm '%s': %w", s.VMs[i].Name, err)
		}
	}
	return w, nil
}

func (w *world) resetCounters() {
	w.counters = counters{folderNow: w.counters.folderNow, requests: map[string]int{}, folderByFile: map[string]*fileCount{}}
}

// nameInventory gives the model's datacenter and datastores the names of the spec.
func (w *world) nameInventory() error {
	instance := simulator.Map.Get(types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"})
	content := &instance.(*simulator.ServiceInstance).Content
	content.About.ApiVersion, content.About.Version = w.spec.APIVersion, shortVersion(w.spec.APIVersion)
	content.About.InstanceUuid = w.spec.VCenterUUID
	theWorld = w
	simulator.Map.Put(&Collector{PropertyCollector: simulator.PropertyCollector{
		PropertyCollector: mo.PropertyCollector{Self: content.PropertyCollector}}})
	w.placeDatacenter(simulator.Map.Any("Datacenter").(*simulator.Datacenter))
	w.host = simulator.Map.Any("HostSystem").(*simulator.HostSystem)
	product := *w.host.Summary.Config.Product
	product.ApiVersion, product.Version = w.spec.HostVersion, shortVersion(w.spec.HostVersion)
	w.host.Summary.Config.Product = &product
	all := simulator.Map.All("Datastore")
	if len(all) != len(w.spec.Datastores) {
		return fmt.Errorf("the model has %d datastores", len(all))
	}
	for i, name := range w.spec.Datastores {
		ds := all[i].(*simulator.Datastore)
		w.renameDatastore(ds, name, fmt.Sprintf("datastore-%d", 11+i))
		w.datastores[name] = ds
	}
	return nil
}

// placeDatacenter names the datacenter and hangs it into the folders of its path.
func (w *world) placeDatacenter(dc *simulator.Datacenter) {
	cut := strings.LastIndexByte(w.spec.Datacenter, '/')
	dc.Name = w.spec.Datacenter[cut+1:]
	if cut < 0 {
		return
	}
	root := simulator.Map.Get(*dc.Parent).(*simulator.Folder)
	simulator.RemoveReference(&root.ChildEntity, dc.Self)
	parent := subfolder(root, w.spec.Datacenter[:cut])
	parent.ChildEntity = append(parent.ChildEntity, dc.Self)
	dc.Parent = &parent.Self
}

// subfolder walks down a path of folders and makes those that are missing.
func subfolder(at *simulator.Folder, path string) *simulator.Folder {
	for _, name := range strings.Split(path, "/") {
		if name == "" {
			continue
		}
		if found, ok := simulator.Map.FindByName(name, at.ChildEntity).(*simulator.Folder); ok {
			at = found
			continue
		}
		next := new(simulator.Folder)
		next.Name, next.ChildType = name, at.ChildType
		simulator.Map.PutEntity(at, next)
		at.ChildEntity = append(at.ChildEntity, next.Self)
		at = next
	}
	return at
}

// renameDatastore gives a datastore its name, and a reference like a vCenter's instead of a path of this machine.
func (w *world) renameDatastore(ds *simulator.Datastore, name, value string) {
	old := ds.Self
	simulator.Map.Remove(old)
	ds.Self.Value = value
	info := ds.Info.GetDatastoreInfo()
	ds.Name, ds.Summary.Name, info.Name = name, name, name
	ds.Summary.Datastore = &ds.Self
	ds.Summary.Type, ds.Summary.Url = "VMFS", "ds:///vmfs/volumes/"+name+"/"
	ds.Summary.Capacity, ds.Summary.FreeSpace = 16<<40, 8<<40
	simulator.Map.Put(ds)
	replace := func(list []types.ManagedObjectReference) {
		for i := range list {
			if list[i] == old {
				list[i] = ds.Self
			}
		}
	}
	dc := simulator.Map.Any("Datacenter").(*simulator.Datacenter)
	replace(dc.Datastore)
	replace(simulator.Map.Get(dc.DatastoreFolder).(*simulator.Folder).ChildEntity)
	replace(w.host.Datastore)
	if compute, ok := simulator.Map.Get(*w.host.Parent).(*mo.ComputeResource); ok {
		replace(compute.Datastore)
	}
}

// find looks for a VM by its name or its moref: two folders may hold VMs of one name.
func (w *world) find(name string) *VM {
	for _, vm := range w.vms {
		if vm.spec.Name == name || vm.spec.Moref == name {
			return vm
		}
	}
	return nil
}

func (w *world) newMoref(prefix string) string {
	w.nextID++
	return fmt.Sprintf("%s-%d", prefix, 1000+w.nextID)
}

func (w *world) newCID() uint32 {
	var b [4]byte
	randomBytes(b[:])
	return binary.LittleEndian.Uint32(b[:]) & 0xfffffffe
}

func randomBytes(b []byte) {
	if _, err := rand.Read(b); err != nil {
		panic(err)
	}
}

// namedUUID derives a uuid from names, so that a simulator started again with the same spec is the same vCenter.
func namedUUID(parts ...string) string {
	h := sha1.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%s\x00", p)
	}
	b := h.Sum(nil)[:16]
	b[6], b[8] = b[6]&0x0f|0x50, b[8]&0x3f|0x80
	return dashed(b)
}

func dashed(b []byte) string {
	t := hex.EncodeToString(b)
	return t[:8] + "-" + t[8:12] + "-" + t[12:16] + "-" + t[16:20] + "-" + t[20:]
}

// escapeName writes a name as the inventory shows it.
func escapeName(name string) string {
	return strings.NewReplacer("%", "%25", "/", "%2f", `\`, "%5c").Replace(name)
}

// newChangeUUID is written as vSphere writes the uuid of a change id: bytes with spaces, a dash in the middle.
func newChangeUUID() string {
	var b [16]byte
	randomBytes(b[:])
	b[0], b[1] = 0x52, 0x3e
	text := ""
	for i, c := range b {
		switch i {
		case 0:
		case 8:
			text += "-"
		default:
			text += " "
		}
		text += fmt.Sprintf("%02x", c)
	}
	return text
}

func (w *world) addVM(s *vmSpec) error {
	vm := &VM{world: w, spec: *s, controllers: s.Controllers, history: map[string][]frozenDisk{}}
	vm.Self = types.ManagedObjectReference{Type: "VirtualMachine", Value: s.Moref}
	vm.Name = escapeName(s.Name)
	vm.power = powerState(s.Power)
	vm.cbt = s.CBT
	vm.nvram = make([]byte, s.NVRAMBytes)
	randomBytes(vm.nvram)
	for i := range s.Disks {
		if _, err := vm.addDisk(s.Disks[i]); err != nil {
			return err
		}
	}
	vm.placeInInventory()
	vm.refresh()
	simulator.Map.Put(vm)
	w.vms = append(w.vms, vm)
	if s.ConsolidationNeeded {
		left := vm.takeSnapshot("left over", "", false, w.settings.DeltaFormat)
		vm.removeSnapshot(left, false, false)
	}
	for _, snap := range s.Snapshots {
		vm.takeSnapshot(snap.Name, snap.Description, false, snap.Delta)
	}
	return nil
}

// addDisk attaches a new disk.  A key in use is the caller's mistake.
func (vm *VM) addDisk(s diskSpec) (*disk, error) {
	for _, other := range vm.disks {
		if other.Key == s.Key {
			return nil, fmt.Errorf("key %d is in use", s.Key)
		}
	}
	for _, l := range vm.links {
		if l.datastore == s.Datastore && l.name == s.VMDK {
			return nil, fmt.Errorf("'%s' exists already", l.path())
		}
	}
	volume, err := newVolume(s.File)
	if err != nil {
		return nil, err
	}
	d := &disk{diskSpec: s, volume: volume}
	if d.UUID == "" {
		d.UUID = "6000C29" + namedUUID("disk", vm.Name, s.Datastore, s.VMDK)[7:]
	}
	sum := sha1.Sum([]byte(d.UUID))
	d.content = hex.EncodeToString(sum[:16])
	if s.Encrypted {
		d.keyID = namedUUID("key", d.UUID)
		d.secret = make([]byte, 16)
		randomBytes(d.secret)
	}
	d.live = &link{volume: volume, live: true, datastore: s.Datastore, name: s.VMDK, format: formatFlat, rdm: s.RDM, size: s.Size,
		own: []eras{{1, math.MaxUint32}}, cid: vm.world.newCID(), disk: d}
	vm.links = append(vm.links, d.live)
	vm.disks = append(vm.disks, d)
	if vm.cbt && !vm.cbtPending && vm.tracked(d) {
		d.track = tracking{newChangeUUID(), 1, false}
	}
	return d, nil
}

func (vm *VM) disk(key int32) *disk {
	for _, d := range vm.disks {
		if d.Key == key {
			return d
		}
	}
	return nil
}

// frozenBySnapshots tells whether a snapshot holds the disk.
func (vm *VM) frozenBySnapshots(d *disk) bool {
	if d.Mode == "independent_persistent" || d.Mode == "independent_nonpersistent" || d.RDM == "physical" ||
		d.Sharing == "sharingMultiWriter" {
		return false
	}
	for _, c := range vm.controllers {
		if c.Key == d.Controller && c.Sharing != "noSharing" {
			return false
		}
	}
	return true
}

// tracked tells whether change tracking can cover the disk.
func (vm *VM) tracked(d *disk) bool { return vm.frozenBySnapshots(d) }

func powerState(name string) types.VirtualMachinePowerState {
	switch name {
	case "off":
		return types.VirtualMachinePowerStatePoweredOff
	case "suspended":
		return types.VirtualMachinePowerStateSuspended
	default:
		return types.VirtualMachinePowerStatePoweredOn
	}
}
