// The workloads in Go: an actor is a goroutine that receives from a channel.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"
)

const (
	senders = 8
	nodes   = 100
	fanOut  = 10
	row     = 64
	window  = 1000
)

// What a run gave, as the other peers print it.
type measured struct {
	Seconds float64  `json:"seconds"`
	Counts  []uint64 `json:"counts"`
}

func main() {
	if len(os.Args) != 5 {
		fail("expected a workload, and the numbers of workers, repeats and warm-ups")
	}
	workers, repeat, warmup := number(os.Args[2]), number(os.Args[3]), number(os.Args[4])
	for ; warmup > 0; warmup-- {
		run(os.Args[1], workers, repeat)
	}
	line, err := json.Marshal(run(os.Args[1], workers, repeat))
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

func run(workload string, workers, repeat uint64) measured {
	switch workload {
	case "ThroughputPerformance":
		return pairs(workers, repeat/workers, least(window, repeat/workers))
	case "PingPong":
		return pairs(1, repeat, 1)
	case "FanIn":
		return fanIn(repeat)
	case "ThreadRing":
		return ring(repeat)
	case "Skynet":
		return skynet(repeat)
	case "Spawn.Life":
		return lives(repeat)
	case "Dispatch.Await":
		return ask(repeat)
	}
	fail("there is no workload ", workload)
	return measured{}
}

// Takes the time of what is done.
func timed(do func()) float64 {
	started := time.Now()
	do()
	return time.Since(started).Seconds()
}

// How much of what is dealt out one by one goes to the one at the index.
func share(total, among, index uint64) uint64 {
	if index < total%among {
		return total/among + 1
	}
	return total / among
}

func least(one, other uint64) uint64 {
	if one < other {
		return one
	}
	return other
}

func number(text string) uint64 {
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		fail(err)
	}
	return value
}

func fail(why ...any) {
	fmt.Fprintln(os.Stderr, why...)
	os.Exit(1)
}
