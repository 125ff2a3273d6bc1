package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// The SOAP methods of VMs and snapshots.  The simulator finds them by name and holds the object's lock, which is the
// world's mutex, while they run.

// How removing a snapshot goes.
const (
	consolidationNormal = "normal"
	consolidationNeeded = "needed" // the removal succeeds, the files stay until ConsolidateVMDisks_Task
	consolidationStuck  = "stuck"  // they stay even then
)

func (vm *VM) snapshotTask(method, name, description string, quiesce bool) (types.ManagedObjectReference, *soap.Fault) {
	if vm.spec.Template {
		return types.ManagedObjectReference{}, simulator.Fault("a template has no snapshots", &types.NotSupported{})
	}
	if vm.spec.Connection != "connected" {
		return types.ManagedObjectReference{}, simulator.Fault("the VM is not connected", &types.InvalidState{})
	}
	return vm.start(method, vm.Self, func() (types.AnyType, types.BaseMethodFault) {
		if vm.levels() >= maxLevels {
			return nil, &types.TooManySnapshotLevels{}
		}
		quiesced := quiesce && vm.power == types.VirtualMachinePowerStatePoweredOn
		if quiesced && !*vm.spec.Tools {
			return nil, &types.ToolsUnavailable{}
		}
		return vm.takeSnapshot(name, description, quiesced, vm.world.settings.DeltaFormat).object.Self, nil
	})
}

// CreateSnapshotTask implements CreateSnapshot_Task.
func (vm *VM) CreateSnapshotTask(req *types.CreateSnapshot_Task) soap.HasFault {
	ref, failed := vm.snapshotTask("CreateSnapshot_Task", req.Name, req.Description, req.Quiesce)
	if failed != nil {
		return &methods.CreateSnapshot_TaskBody{Fault_: failed}
	}
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: ref}}
}

// CreateSnapshotExTask implements CreateSnapshotEx_Task.
func (vm *VM) CreateSnapshotExTask(req *types.CreateSnapshotEx_Task) soap.HasFault {
	ref, failed := vm.snapshotTask("CreateSnapshotEx_Task", req.Name, req.Description, req.QuiesceSpec != nil)
	if failed != nil {
		return &methods.CreateSnapshotEx_TaskBody{Fault_: failed}
	}
	return &methods.CreateSnapshotEx_TaskBody{Res: &types.CreateSnapshotEx_TaskResponse{Returnval: ref}}
}

// RemoveSnapshotTask implements RemoveSnapshot_Task.
func (s *Snapshot) RemoveSnapshotTask(req *types.RemoveSnapshot_Task) soap.HasFault {
	vm := s.vm
	ref, failed := vm.start("RemoveSnapshot_Task", s.Self, func() (types.AnyType, types.BaseMethodFault) {
		if !vm.holds(s.model) {
			return nil, &types.ManagedObjectNotFound{Obj: s.Self}
		}
		merge := vm.world.settings.Consolidation == consolidationNormal && (req.Consolidate == nil || *req.Consolidate)
		vm.removeSnapshot(s.model, req.RemoveChildren, merge)
		return nil, nil
	})
	if failed != nil {
		return &methods.RemoveSnapshot_TaskBody{Fault_: failed}
	}
	return &methods.RemoveSnapshot_TaskBody{Res: &types.RemoveSnapshot_TaskResponse{Returnval: ref}}
}

// maxLevels is how deep snapshots may be stacked.
const maxLevels = 32

func (vm *VM) levels() int {
	n := 0
	for s := vm.current; s != nil; s = s.parent {
		n++
	}
	return n
}

func (vm *VM) holds(s *snapshot) bool {
	for _, other := range vm.snapshots {
		if other == s {
			return true
		}
	}
	return false
}

// RemoveAllSnapshotsTask implements RemoveAllSnapshots_Task.
func (vm *VM) RemoveAllSnapshotsTask(req *types.RemoveAllSnapshots_Task) soap.HasFault {
	ref, failed := vm.start("RemoveAllSnapshots_Task", vm.Self, func() (types.AnyType, types.BaseMethodFault) {
		merge := vm.world.settings.Consolidation == consolidationNormal && (req.Consolidate == nil || *req.Consolidate)
		for len(vm.snapshots) > 0 {
			vm.removeSnapshot(vm.snapshots[0], true, merge)
		}
		return nil, nil
	})
	if failed != nil {
		return &methods.RemoveAllSnapshots_TaskBody{Fault_: failed}
	}
	return &methods.RemoveAllSnapshots_TaskBody{Res: &types.RemoveAllSnapshots_TaskResponse{Returnval: ref}}
}

// RevertToSnapshotTask implements RevertToSnapshot_Task.
func (s *Snapshot) RevertToSnapshotTask(*types.RevertToSnapshot_Task) soap.HasFault {
	vm := s.vm
	ref, failed := vm.start("RevertToSnapshot_Task", s.Self, func() (types.AnyType, types.BaseMethodFault) {
		if !vm.holds(s.model) {
			return nil, &types.ManagedObjectNotFound{Obj: s.Self}
		}
		vm.revert(s.model)
		return nil, nil
	})
	if failed != nil {
		return &methods.RevertToSnapshot_TaskBody{Fault_: failed}
	}
	return &methods.RevertToSnapshot_TaskBody{Res: &types.RevertToSnapshot_TaskResponse{Returnval: ref}}
}

// RevertToCurrentSnapshotTask implements RevertToCurrentSnapshot_Task.
func (vm *VM) RevertToCurrentSnapshotTask(*types.RevertToCurrentSnapshot_Task) soap.HasFault {
	body := new(methods.RevertToCurrentSnapshot_TaskBody)
	if vm.current == nil {
		body.Fault_ = simulator.Fault("the VM has no snapshot", &types.NotFound{})
		return body
	}
	ref, failed := vm.start("RevertToCurrentSnapshot_Task", vm.Self, func() (types.AnyType, types.BaseMethodFault) {
		vm.revert(vm.current)
		return nil, nil
	})
	if body.Fault_ = failed; failed == nil {
		body.Res = &types.RevertToCurrentSnapshot_TaskResponse{Returnval: ref}
	}
	return body
}

// ConsolidateVMDisksTask implements ConsolidateVMDisks_Task.
func (vm *VM) ConsolidateVMDisksTask(*types.ConsolidateVMDisks_Task) soap.HasFault {
	ref, failed := vm.start("ConsolidateVMDisks_Task", vm.Self, func() (types.AnyType, types.BaseMethodFault) {
		if vm.world.settings.Consolidation != consolidationStuck {
			vm.consolidate()
			vm.refresh()
		}
		return nil, nil
	})
	if failed != nil {
		return &methods.ConsolidateVMDisks_TaskBody{Fault_: failed}
	}
	return &methods.ConsolidateVMDisks_TaskBody{Res: &types.ConsolidateVMDisks_TaskResponse{Returnval: ref}}
}

// ReconfigVMTask implements ReconfigVM_Task as far as change tracking goes; every other change is refused.
func (vm *VM) ReconfigVMTask(req *types.ReconfigVM_Task) soap.HasFault {
	body := new(methods.ReconfigVM_TaskBody)
	want := req.Spec.ChangeTrackingEnabled
	if want == nil || len(req.Spec.DeviceChange) > 0 {
		body.Fault_ = simulator.Fault("this simulator reconfigures change tracking only", &types.NotSupported{})
		return body
	}
	ref, failed := vm.start("ReconfigVM_Task", vm.Self, func() (types.AnyType, types.BaseMethodFault) {
		if *want && !*vm.spec.CBTSupported {
			return nil, &types.InvalidVmConfig{Property: "changeTrackingEnabled"}
		}
		if *want && vm.world.settings.CBTNoSnapshots && len(vm.snapshots) > 0 {
			return nil, &types.InvalidState{}
		}
		vm.setTracking(*want)
		return nil, nil
	})
	if body.Fault_ = failed; failed == nil {
		body.Res = &types.ReconfigVM_TaskResponse{Returnval: ref}
	}
	return body
}

// PowerOnVMTask implements PowerOnVM_Task.
func (vm *VM) PowerOnVMTask(*types.PowerOnVM_Task) soap.HasFault {
	body := new(methods.PowerOnVM_TaskBody)
	ref, failed := vm.start("PowerOnVM_Task", vm.Self, func() (types.AnyType, types.BaseMethodFault) {
		return nil, vm.powerTask(types.VirtualMachinePowerStatePoweredOn)
	})
	if body.Fault_ = failed; failed == nil {
		body.Res = &types.PowerOnVM_TaskResponse{Returnval: ref}
	}
	return body
}

// PowerOffVMTask implements PowerOffVM_Task.
func (vm *VM) PowerOffVMTask(*types.PowerOffVM_Task) soap.HasFault {
	body := new(methods.PowerOffVM_TaskBody)
	ref, failed := vm.start("PowerOffVM_Task", vm.Self, func() (types.AnyType, types.BaseMethodFault) {
		return nil, vm.powerTask(types.VirtualMachinePowerStatePoweredOff)
	})
	if body.Fault_ = failed; failed == nil {
		body.Res = &types.PowerOffVM_TaskResponse{Returnval: ref}
	}
	return body
}

func (vm *VM) powerTask(state types.VirtualMachinePowerState) types.BaseMethodFault {
	if vm.power == state {
		return &types.InvalidPowerState{RequestedState: state, ExistingState: vm.power}
	}
	vm.setPower(state)
	return nil
}

func (vm *VM) setPower(state types.VirtualMachinePowerState) {
	vm.power = state
	vm.stun()
	vm.refresh()
}
