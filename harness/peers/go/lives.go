package main

import (
	"runtime"
	"sync"
	"sync/atomic"
)

func skynet(leaves uint64) measured {
	sums := make(chan uint64)
	sum := uint64(0)
	seconds := timed(func() {
		go tree(sums, 0, leaves)
		sum = <-sums
	})
	return measured{seconds, []uint64{sum}}
}

func tree(parent chan<- uint64, first, leaves uint64) {
	if leaves == 1 {
		parent <- first
		return
	}
	children := least(fanOut, leaves)
	sums := make(chan uint64)
	for child := uint64(0); child < children; child++ {
		below := share(leaves, children, child)
		go tree(sums, first, below)
		first += below
	}
	sum := uint64(0)
	for child := uint64(0); child < children; child++ {
		sum += <-sums
	}
	parent <- sum
}

// What has ended, and how many messages came meanwhile.
type ended struct {
	messages, ends uint64
	all            sync.WaitGroup
}

func lives(repeat uint64) measured {
	var ended ended
	ended.all.Add(int(repeat))
	seconds := timed(func() {
		go parent(repeat, &ended)
		ended.all.Wait()
	})
	return measured{seconds, []uint64{ended.messages, ended.ends}}
}

func parent(left uint64, ended *ended) {
	for left > 0 {
		number := least(row, left)
		for i := uint64(0); i < number; i++ {
			inbox := make(chan nothing, 1)
			go child(inbox, ended)
			inbox <- nothing{}
			close(inbox)
		}
		left -= number
		runtime.Gosched()
	}
}

func child(inbox <-chan nothing, ended *ended) {
	messages := uint64(0)
	for range inbox {
		messages++
	}
	atomic.AddUint64(&ended.messages, messages)
	atomic.AddUint64(&ended.ends, 1)
	ended.all.Done()
}
