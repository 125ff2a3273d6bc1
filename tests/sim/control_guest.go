package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// What the guest does: writes of its own, and a counter that rises on all disks at once.

const maxWrite = 256 << 20

func controlWrite(w *world, in *json.Decoder) (interface{}, error) {
	var req struct {
		VM     string  `json:"vm"`
		Key    int32   `json:"key"`
		Offset int64   `json:"offset"`
		Data   *string `json:"data_base64"`
		Length int64   `json:"length"`
		Byte   byte    `json:"byte"`
	}
	if err := decode(in, &req); err != nil {
		return nil, err
	}
	_, d, err := w.wantDisk(req.VM, req.Key)
	if err != nil {
		return nil, err
	}
	var data []byte
	if req.Data != nil {
		if data, err = base64.StdEncoding.DecodeString(*req.Data); err != nil {
			return nil, err
		}
	} else {
		if req.Length <= 0 || req.Length > maxWrite {
			return nil, fmt.Errorf("length must be 1 to %d", maxWrite)
		}
		data = bytes.Repeat([]byte{req.Byte}, int(req.Length))
	}
	return nil, d.volume.write(data, req.Offset, d.live.view())
}

// controlGuest starts, changes or (interval 0) stops the guest of a VM.
func controlGuest(w *world, in *json.Decoder) (interface{}, error) {
	var req struct {
		VM         string `json:"vm"`
		IntervalMs int    `json:"interval_ms"`
		Offset     int64  `json:"offset"`
	}
	if err := decode(in, &req); err != nil {
		return nil, err
	}
	vm, err := w.wantVM(req.VM)
	if err != nil {
		return nil, err
	}
	if req.IntervalMs < 0 || req.Offset < 0 || req.Offset%sectorBytes != 0 {
		return nil, fmt.Errorf("interval_ms is not negative, offset a multiple of %d", sectorBytes)
	}
	for _, d := range vm.disks {
		if req.Offset+sectorBytes > d.live.size {
			return nil, fmt.Errorf("offset lies outside of disk %d", d.Key)
		}
	}
	if vm.guestStop != nil {
		close(vm.guestStop)
		vm.guestStop = nil
	}
	if req.IntervalMs > 0 {
		vm.guestStop = make(chan struct{})
		go vm.guest(time.Duration(req.IntervalMs)*time.Millisecond, req.Offset, vm.guestStop)
	}
	return map[string]uint64{"counter": vm.guestCounter}, nil
}

// guest writes one rising number to all disks; the mutex makes each step one moment, as the snapshot is one.
func (vm *VM) guest(interval time.Duration, offset int64, stop chan struct{}) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	sector := make([]byte, sectorBytes)
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		vm.Lock()
		if vm.power == powerState("on") && vm.guestStop == stop {
			vm.guestCounter++
			binary.LittleEndian.PutUint64(sector, vm.guestCounter)
			for _, d := range vm.disks {
				if err := d.volume.write(sector, offset, d.live.view()); err != nil {
					panic(err) // the offset was checked, disks do not shrink: the log file is gone
				}
			}
		}
		vm.Unlock()
	}
}
