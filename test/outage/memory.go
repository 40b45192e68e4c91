// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"
	"time"

	"github.com/kubiyabot/otelcol-runner/test/internal/delivery"
)

// memoryEvery is how often the collector's memory is read.
const memoryEvery = 100 * time.Millisecond

// memory reads the resident memory of whatever collector runs, and keeps the peak of each phase.
type memory struct {
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex // guards what follows
	process *delivery.Process
	phase   string
	now     int64
	peaks   map[string]int64
}

func watchMemory() *memory {
	m := &memory{stop: make(chan struct{}), peaks: map[string]int64{}}
	m.done.Go(func() {
		ticker := time.NewTicker(memoryEvery)
		defer ticker.Stop()
		for {
			select {
			case <-m.stop:
				return
			case <-ticker.C:
				m.read()
			}
		}
	})
	return m
}

func (m *memory) read() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.process == nil {
		return
	}
	resident, err := m.process.Memory()
	if err != nil {
		return // between two lives
	}
	m.now = resident
	m.peaks[m.phase] = max(m.peaks[m.phase], resident)
}

// follow names the process and what it does from now on.
func (m *memory) follow(process *delivery.Process, phase string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.process, m.phase = process, phase
}

// latest is the memory that was read last, in bytes.
func (m *memory) latest() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// peak is the most memory in the phase, in bytes.
func (m *memory) peak(phase string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.peaks[phase]
}

func (m *memory) end() {
	close(m.stop)
	m.done.Wait()
}
