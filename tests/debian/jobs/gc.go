package main

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"runtime/debug"
	"sort"
	"sync"
)

type node struct {
	l, r *node
	v    int
	pad  [48]byte
}

func (n *node) add(v int) *node {
	if n == nil {
		return &node{v: v}
	}
	if v < n.v {
		n.l = n.l.add(v)
	} else {
		n.r = n.r.add(v)
	}
	return n
}
func (n *node) sum() int {
	if n == nil {
		return 0
	}
	return n.v + n.l.sum() + n.r.sum()
}
func main() {
	debug.SetGCPercent(20)
	var wg sync.WaitGroup
	sums := make([]int, 8)
	for g := 0; g < 8; g++ {
		wg.Add(1)
		go func(g int) {
			defer wg.Done()
			x := uint32(g + 1)
			for round := 0; round < 4; round++ {
				var t *node
				for i := 0; i < 5000; i++ {
					x = x*1103515245 + 12345
					t = t.add(int(x >> 8 & 0xffff))
				}
				sums[g] += t.sum()
			}
		}(g)
	}
	wg.Wait()
	ch := make(chan [32]byte)
	for i := 0; i < 100; i++ {
		go func(i int) { ch <- sha256.Sum256(make([]byte, i*1000)) }(i)
	}
	var all []string
	for i := 0; i < 100; i++ {
		s := <-ch
		all = append(all, fmt.Sprintf("%x", s))
	}
	sort.Strings(all)
	m := map[int]string{}
	for i := 0; i < 50000; i++ {
		m[i%7000] = fmt.Sprint(i)
	}
	debug.FreeOSMemory()
	var st runtime.MemStats
	runtime.ReadMemStats(&st)
	fmt.Println(sums, all[0], len(m), st.NumGC > 10, st.HeapReleased > 0)
}
