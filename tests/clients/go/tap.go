// tap.go: what the programs of these folders tell, in TAP. It is copied beside each.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
)

var seen int

func check(ok bool, what string, told ...any) {
	seen++
	word := "ok"
	if !ok {
		word = "not ok"
	}
	fmt.Printf("%s %d - %s\n", word, seen, what)
	if !ok && len(told) > 0 {
		fmt.Printf("# %.1500s\n", strings.ReplaceAll(fmt.Sprintf("%+v", told), "\n", " "))
	}
}

// equal compares as JSON does: numbers are numbers.
func equal(got, wanted any, what string) {
	plain := func(v any) (out any) {
		text, _ := json.Marshal(v)
		json.Unmarshal(text, &out)
		return out
	}
	check(reflect.DeepEqual(plain(got), plain(wanted)), what, "got", got, "instead of", wanted)
}

// must fails the part under way.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// part runs a part; what panics fails it, and the next one goes on.
func part(what string, work func()) {
	defer func() {
		if e := recover(); e != nil {
			check(false, what, e, string(debug.Stack()))
		}
	}()
	work()
}

// at reads a path of a decoded answer: "hits.total.value", "items.0.index".
func at(v any, path string) any {
	for _, key := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i := 0
			fmt.Sscan(key, &i)
			if i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func done() { fmt.Printf("1..%d\n", seen) }

var url = os.Args[1]
