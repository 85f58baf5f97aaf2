package main

// What is in a message that says nothing but its name.
type nothing struct{}

// Channels have room for the window, as otherwise both of a pair would wait for each other; none where one is under way at a time, as
// a channel has none unless told.
func room(window uint64) uint64 {
	if window == 1 {
		return 0
	}
	return window
}

func pairs(number, repeats, window uint64) measured {
	pings, pongs := make([]chan nothing, number), make([]chan nothing, number)
	arrived, done := make([]chan uint64, number), make([]chan uint64, number)
	start := make(chan nothing)
	for i := range pings {
		pings[i], pongs[i] = make(chan nothing, room(window)), make(chan nothing, room(window))
		arrived[i], done[i] = make(chan uint64, 1), make(chan uint64, 1)
		go destination(pings[i], pongs[i], arrived[i])
		go client(start, pings[i], pongs[i], repeats, window, done[i])
	}
	counts := make([]uint64, 2*number)
	seconds := timed(func() {
		close(start)
		for i := range done {
			counts[2*i+1] = <-done[i]
		}
	})
	for i := range arrived {
		close(pings[i])
		counts[2*i] = <-arrived[i]
	}
	return measured{seconds, counts}
}

func client(start <-chan nothing, pings chan<- nothing, pongs <-chan nothing, repeats, window uint64, done chan<- uint64) {
	<-start
	for i := uint64(0); i < window; i++ {
		pings <- nothing{}
	}
	sent, received := window, uint64(0)
	for received < repeats {
		<-pongs
		received++
		if sent < repeats {
			pings <- nothing{}
			sent++
		}
	}
	done <- received
}

func destination(pings <-chan nothing, pongs chan<- nothing, arrived chan<- uint64) {
	count := uint64(0)
	for range pings {
		count++
		pongs <- nothing{}
	}
	arrived <- count
}

// A message of many to one; the last of a burst says where the answer goes.
type item struct {
	answer chan<- nothing
}

func fanIn(repeat uint64) measured {
	items, received := make(chan item, window), make(chan uint64, 1)
	go receiver(items, received)
	start := make(chan nothing)
	done := make([]chan uint64, senders)
	for i := range done {
		done[i] = make(chan uint64, 1)
		go sender(start, items, share(repeat, senders, uint64(i)), done[i])
	}
	counts := make([]uint64, 1+senders)
	seconds := timed(func() {
		close(start)
		for i := range done {
			counts[i+1] = <-done[i]
		}
	})
	close(items)
	counts[0] = <-received
	return measured{seconds, counts}
}

func receiver(items <-chan item, received chan<- uint64) {
	count := uint64(0)
	for item := range items {
		count++
		if item.answer != nil {
			item.answer <- nothing{}
		}
	}
	received <- count
}

func sender(start <-chan nothing, items chan<- item, unsent uint64, done chan<- uint64) {
	// Both bursts may be answered at once.
	more := make(chan nothing, 2)
	bursts, answered := uint64(0), uint64(0)
	burst := func() {
		number := least(window/2, unsent)
		if number == 0 {
			return
		}
		for i := uint64(1); i < number; i++ {
			items <- item{}
		}
		items <- item{more}
		bursts++
		unsent -= number
	}
	<-start
	burst()
	burst()
	for unsent > 0 || answered < bursts {
		<-more
		answered++
		burst()
	}
	done <- answered
}

func ring(hops uint64) measured {
	first := make(chan uint64)
	counts := make([]uint64, nodes)
	last, ended := make(chan nothing), make(chan nothing)
	from := first
	for i := range counts {
		to := first
		if i < nodes-1 {
			to = make(chan uint64)
		}
		go ringNode(from, to, last, &counts[i], ended)
		from = to
	}
	seconds := timed(func() {
		first <- hops
		<-last
	})
	for range counts {
		<-ended
	}
	return measured{seconds, counts}
}

func ringNode(from <-chan uint64, to chan<- uint64, last chan<- nothing, tokens *uint64, ended chan<- nothing) {
	for hopsLeft := range from {
		*tokens++
		if hopsLeft == 0 {
			last <- nothing{}
			break
		}
		to <- hopsLeft - 1
	}
	// So the next one ends too, and all of them.
	close(to)
	ended <- nothing{}
}

// A question, and where the answer goes.
type call struct {
	reply chan<- uint64
}

func ask(repeat uint64) measured {
	calls, called := make(chan call, window), make(chan uint64, 1)
	go counter(calls, called)
	good := make(chan uint64)
	counts := make([]uint64, 2)
	seconds := timed(func() {
		go asker(calls, repeat, good)
		counts[0] = <-good
	})
	close(calls)
	counts[1] = <-called
	return measured{seconds, counts}
}

func asker(calls chan<- call, left uint64, good chan<- uint64) {
	answers := make([]chan uint64, 0, window)
	inOrder, answered := uint64(0), uint64(0)
	for left > 0 {
		round := least(window, left)
		answers = answers[:0]
		for i := uint64(0); i < round; i++ {
			answer := make(chan uint64, 1)
			calls <- call{answer}
			answers = append(answers, answer)
		}
		for _, answer := range answers {
			answered++
			if <-answer == answered {
				inOrder++
			}
		}
		left -= round
	}
	good <- inOrder
}

func counter(calls <-chan call, called chan<- uint64) {
	count := uint64(0)
	for call := range calls {
		count++
		call.reply <- count
	}
	called <- count
}
