package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
)

// The spec is what a test asks for: one JSON document, unknown fields refused.

type spec struct {
	User        string   `json:"user"`
	Password    string   `json:"password"`
	AreaLimit   int      `json:"area_limit"`
	PageLimit   int      `json:"page_limit"`
	TaskDelayMs int      `json:"task_delay_ms"`
	VCenterUUID string   `json:"vcenter_uuid"`
	APIVersion  string   `json:"api_version"`
	HostVersion string   `json:"host_api_version"`
	Datacenter  string   `json:"datacenter"`
	Datastores  []string `json:"datastores"`
	Witness     *bool    `json:"witness"`
	VMs         []vmSpec `json:"vms"`
}

type vmSpec struct {
	Name                string           `json:"name"`
	InstanceUUID        string           `json:"instance_uuid"`
	Moref               string           `json:"moref"`
	Folder              string           `json:"folder"`
	Template            bool             `json:"template"`
	Power               string           `json:"power"`
	Connection          string           `json:"connection"`
	CBTSupported        *bool            `json:"cbt_supported"`
	CBT                 bool             `json:"cbt"`
	Tools               *bool            `json:"tools"`
	Firmware            string           `json:"firmware"`
	NVRAMBytes          int              `json:"nvram_bytes"`
	ConsolidationNeeded bool             `json:"consolidation_needed"`
	Controllers         []controllerSpec `json:"controllers"`
	Disks               []diskSpec       `json:"disks"`
	Snapshots           []snapshotSpec   `json:"snapshots"`
}

type controllerSpec struct {
	Key     int32  `json:"key"`
	Type    string `json:"type"`
	Bus     int32  `json:"bus"`
	Sharing string `json:"sharing"`
}

type diskSpec struct {
	Key        int32  `json:"key"`
	Controller int32  `json:"controller"`
	Unit       int32  `json:"unit"`
	Label      string `json:"label"`
	Size       int64  `json:"size"`
	File       string `json:"file"`
	Datastore  string `json:"datastore"`
	VMDK       string `json:"vmdk"`
	Mode       string `json:"mode"`
	Sharing    string `json:"sharing"`
	RDM        string `json:"rdm"`
	Thin       *bool  `json:"thin"`
	UUID       string `json:"uuid"`
	Encrypted  bool   `json:"encrypted"`
}

type snapshotSpec struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Delta       string `json:"delta"`
}

// Values that a field may hold; the first is the default.
var (
	powers        = []string{"on", "off", "suspended"}
	connections   = []string{"connected", "disconnected", "inaccessible", "invalid", "orphaned"}
	firmwares     = []string{"bios", "efi"}
	controllerSet = []string{"pvscsi", "lsilogic", "lsilogicsas", "ahci", "nvme", "ide"}
	sharings      = []string{"noSharing", "virtualSharing", "physicalSharing"}
	diskModes     = []string{"persistent", "independent_persistent", "independent_nonpersistent", "nonpersistent",
		"undoable", "append"}
	diskSharings = []string{"sharingNone", "sharingMultiWriter"}
	rdms         = []string{"", "physical", "virtual"}
	deltas       = []string{deltaSESparse, deltaCOWD, deltaRefused}
)

func readSpec(name string) (*spec, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields()
	s := new(spec)
	if err := decoder.Decode(s); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := s.complete(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// choose fills in the default and refuses what is not in the list.
func choose(value *string, what string, allowed []string) error {
	if *value == "" {
		*value = allowed[0]
		return nil
	}
	for _, a := range allowed {
		if *value == a {
			return nil
		}
	}
	return fmt.Errorf("%s '%s' is none of %s", what, *value, strings.Join(allowed, ", "))
}

func defaultTrue(value **bool) {
	if *value == nil {
		*value = boolPtr(true)
	}
}

func boolPtr(value bool) *bool { return &value }

func (s *spec) complete() error {
	if s.User == "" {
		return fmt.Errorf("a user is needed")
	}
	if s.AreaLimit == 0 {
		s.AreaLimit = 2000
	}
	if s.PageLimit == 0 {
		s.PageLimit = 100
	}
	if s.AreaLimit < 0 || s.PageLimit < 0 || s.TaskDelayMs < 0 {
		return fmt.Errorf("limits and delays are not negative")
	}
	if s.Datacenter == "" {
		s.Datacenter = "DC0"
	}
	if s.VCenterUUID == "" {
		s.VCenterUUID = namedUUID("vcenter", s.Datacenter)
	}
	if len(s.Datastores) == 0 {
		s.Datastores = []string{"ds1", "ds2"}
	}
	if err := s.completeVersions(); err != nil {
		return err
	}
	defaultTrue(&s.Witness)
	names, morefs := map[string]bool{}, map[string]bool{}
	for i := range s.VMs {
		v := &s.VMs[i]
		if v.Moref == "" {
			v.Moref = fmt.Sprintf("vm-%d", 101+i)
		}
		place := v.Folder + "\x00" + v.Name
		if v.Name == "" || names[place] || morefs[v.Moref] {
			return fmt.Errorf("vm %d: a VM needs a name that is unique in its folder, and a moref of its own", i)
		}
		names[place], morefs[v.Moref] = true, true
		if err := v.complete(s); err != nil {
			return fmt.Errorf("vm '%s': %w", v.Name, err)
		}
	}
	return nil
}

// completeVersions: the vCenter's version and its host's, four numbers each.
func (s *spec) completeVersions() error {
	if s.APIVersion == "" {
		s.APIVersion = "8.0.2.0"
	}
	if s.HostVersion == "" {
		s.HostVersion = s.APIVersion
	}
	for _, version := range []string{s.APIVersion, s.HostVersion} {
		if _, ok := versionNumbers(version); !ok {
			return fmt.Errorf("version '%s' is not of the form 8.0.2.0", version)
		}
	}
	return nil
}

func versionNumbers(version string) (numbers [4]int, ok bool) {
	parts := strings.Split(version, ".")
	if len(parts) != len(numbers) {
		return numbers, false
	}
	for i, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 {
			return numbers, false
		}
		numbers[i] = n
	}
	return numbers, true
}

// shortVersion: 8.0.2.0 is called 8.0.2.
func shortVersion(version string) string { return version[:strings.LastIndexByte(version, '.')] }

// backfills tells whether change tracking that is turned on learns what was written before: from 8.0.1 on.
func (s *spec) backfills() bool {
	have, _ := versionNumbers(s.HostVersion)
	for i, want := range [4]int{8, 0, 1, 0} {
		if have[i] != want {
			return have[i] > want
		}
	}
	return true
}

func (v *vmSpec) complete(s *spec) error {
	if v.Template && v.Power == "" {
		v.Power = "off"
	}
	if err := choose(&v.Power, "power", powers); err != nil {
		return err
	}
	if err := choose(&v.Connection, "connection", connections); err != nil {
		return err
	}
	if err := choose(&v.Firmware, "firmware", firmwares); err != nil {
		return err
	}
	if v.NVRAMBytes < 0 || v.NVRAMBytes > 16<<20 {
		return fmt.Errorf("nvram_bytes is out of range")
	}
	defaultTrue(&v.CBTSupported)
	defaultTrue(&v.Tools)
	if len(v.Controllers) == 0 {
		v.Controllers = []controllerSpec{{Key: 1000, Type: "pvscsi"}}
	}
	for i := range v.Controllers {
		c := &v.Controllers[i]
		if c.Key <= 0 {
			return fmt.Errorf("controller %d has no key", i)
		}
		if err := choose(&c.Type, "controller type", controllerSet); err != nil {
			return err
		}
		if err := choose(&c.Sharing, "controller sharing", sharings); err != nil {
			return err
		}
	}
	keys := map[int32]bool{}
	for i := range v.Disks {
		if err := v.Disks[i].complete(s, v, i); err != nil {
			return fmt.Errorf("disk %d: %w", i, err)
		}
		if keys[v.Disks[i].Key] {
			return fmt.Errorf("key %d is used twice", v.Disks[i].Key)
		}
		keys[v.Disks[i].Key] = true
	}
	for i := range v.Snapshots {
		if v.Snapshots[i].Name == "" {
			return fmt.Errorf("snapshot %d has no name", i)
		}
		if err := choose(&v.Snapshots[i].Delta, "delta", deltas); err != nil {
			return err
		}
	}
	return nil
}

func (v *vmSpec) controller(key int32) *controllerSpec {
	for i := range v.Controllers {
		if v.Controllers[i].Key == key {
			return &v.Controllers[i]
		}
	}
	return nil
}

func (d *diskSpec) complete(s *spec, v *vmSpec, index int) error {
	if d.Size <= 0 || d.Size%sectorBytes != 0 {
		return fmt.Errorf("size is no multiple of %d", sectorBytes)
	}
	if d.Controller == 0 {
		d.Controller = v.Controllers[0].Key
	}
	c := v.controller(d.Controller)
	if c == nil {
		return fmt.Errorf("there is no controller %d", d.Controller)
	}
	if d.Key == 0 {
		d.Key = conventionalKey(c, d.Unit)
	}
	if d.Label == "" {
		d.Label = fmt.Sprintf("Hard disk %d", index+1)
	}
	if d.Datastore == "" {
		d.Datastore = s.Datastores[0]
	}
	if err := choose(&d.Datastore, "datastore", s.Datastores); err != nil {
		return err
	}
	if d.VMDK == "" {
		d.VMDK = fmt.Sprintf("%s/%s.vmdk", v.Name, v.Name)
		if index > 0 {
			d.VMDK = fmt.Sprintf("%s/%s_%d.vmdk", v.Name, v.Name, index)
		}
	}
	if path.Ext(d.VMDK) != ".vmdk" || path.Clean("/"+d.VMDK) != "/"+d.VMDK {
		return fmt.Errorf("vmdk '%s' is no relative path of a .vmdk file", d.VMDK)
	}
	if err := choose(&d.Mode, "mode", diskModes); err != nil {
		return err
	}
	if err := choose(&d.Sharing, "sharing", diskSharings); err != nil {
		return err
	}
	if err := choose(&d.RDM, "rdm", rdms); err != nil {
		return err
	}
	defaultTrue(&d.Thin)
	if d.File == "" {
		return nil
	}
	info, err := os.Stat(d.File)
	if err != nil {
		return err
	}
	if info.Size() > d.Size {
		return fmt.Errorf("'%s' holds %d bytes, the disk only %d", d.File, info.Size(), d.Size)
	}
	return nil
}

// conventionalKey is the device key that vSphere gives by custom.  Clients must not count on it.
func conventionalKey(c *controllerSpec, unit int32) int32 {
	switch c.Type {
	case "ide":
		return 3000 + 2*c.Bus + unit
	case "ahci":
		return 16000 + 30*c.Bus + unit
	case "nvme":
		return 32000 + 15*c.Bus + unit
	default:
		return 2000 + 16*c.Bus + unit
	}
}
