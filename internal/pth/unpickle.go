package pth

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// maxMarks bounds the marks that are open at once. torch.save has a handful.
const maxMarks = 1000

// unpickler follows a pickle. After its first error it gives nothing more.
type unpickler struct {
	data  []byte
	at    int
	stack []any
	marks []int // heights of the stack
	memo  map[uint32]any
	err   error
}

// unpickle gives the dictionary that a pickle describes.
func unpickle(data []byte) (*dict, error) {
	u := &unpickler{data: data, memo: make(map[uint32]any)}
	for op := byte(0); op != opStop; {
		begin := u.at
		if op = u.take(1)[0]; u.err == nil && op != opStop {
			u.step(op)
		}
		if u.err != nil {
			return nil, fmt.Errorf("pickle, byte %d: %w", begin, u.err)
		}
	}
	top := u.pop()
	if u.err != nil {
		return nil, fmt.Errorf("pickle: %w", u.err)
	}
	d, ok := top.(*dict)
	if !ok {
		return nil, fmt.Errorf("pickle: it holds a %s, want a dictionary of tensors", describe(top))
	}
	return d, nil
}

// step follows one instruction.
func (u *unpickler) step(op byte) {
	switch op {
	case opProto:
		if v := u.take(1)[0]; v != 2 && v != 3 {
			u.fail("protocol %d, want torch.save's own (2)", v)
		}
	case opMark:
		if len(u.marks) == maxMarks {
			u.fail("more than %d marks inside each other: not a file of torch.save", maxMarks)
			return
		}
		u.marks = append(u.marks, len(u.stack))
	case opNone:
		u.push(nil)
	case opNewTrue, opNewFalse:
		u.push(op == opNewTrue)
	case opEmptyDict:
		u.push(&dict{})
	case opEmptyList:
		u.push(list{})
	case opEmptyTuple:
		u.push(tuple{})
	case opTuple1, opTuple2, opTuple3:
		u.tuple(len(u.stack) - int(op-opTuple1) - 1)
	case opTuple:
		u.tuple(u.popMark())
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat, opBinUnicode:
		u.literal(op)
	case opBinPut:
		u.memo[uint32(u.take(1)[0])] = u.top()
	case opLongBinPut:
		u.memo[binary.LittleEndian.Uint32(u.take(4))] = u.top()
	case opBinGet:
		u.recall(uint32(u.take(1)[0]))
	case opLongBinGet:
		u.recall(binary.LittleEndian.Uint32(u.take(4)))
	case opSetItem:
		u.setItems(len(u.stack) - 2)
	case opSetItems:
		u.setItems(u.popMark())
	case opAppend:
		u.appendItems(len(u.stack) - 1)
	case opAppends:
		u.appendItems(u.popMark())
	case opGlobal:
		u.global()
	case opReduce:
		u.reduce()
	case opBuild: // attributes of a dictionary, such as _metadata: dropped
		u.pop()
		if _, ok := u.top().(*dict); !ok {
			u.fail("a state for a %s, want a dictionary", describe(u.top()))
		}
	case opBinPersID:
		u.persistent()
	default:
		u.fail("instruction %#02x (%q) has no place in a file of tensors: nothing is executed here", op, op)
	}
}

// fail keeps the first error.
func (u *unpickler) fail(format string, args ...any) {
	if u.err == nil {
		u.err = fmt.Errorf(format, args...)
	}
}

// take gives the next n bytes of the pickle, zeros after an error.
func (u *unpickler) take(n int) []byte {
	if left := len(u.data) - u.at; n > left {
		u.fail("%d bytes wanted, %d are left: the file is cut short or damaged", n, left)
		return make([]byte, 8)
	}
	raw := u.data[u.at:][:n]
	u.at += n
	return raw
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

// floor is where the values begin that instructions without a mark may use.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

// want is an error unless the stack is as the instruction needs it.
func (u *unpickler) want(ok bool) bool {
	if !ok {
		u.fail("there are too few values for this instruction: the file is damaged")
	}
	return u.err == nil
}

func (u *unpickler) top() any {
	if !u.want(len(u.stack) > u.floor()) {
		return nil
	}
	return u.stack[len(u.stack)-1]
}

func (u *unpickler) pop() any {
	v := u.top()
	if u.err == nil {
		u.stack = u.stack[:len(u.stack)-1]
	}
	return v
}

// popMark gives the height of the stack at the last mark.
func (u *unpickler) popMark() int {
	if !u.want(len(u.marks) > 0) {
		return 0
	}
	height := u.floor()
	u.marks = u.marks[:len(u.marks)-1]
	return height
}

// tuple makes one of the values from that height on.
func (u *unpickler) tuple(height int) {
	if u.want(height >= u.floor()) {
		t := append(tuple{}, u.stack[height:]...)
		u.stack = append(u.stack[:height], t)
	}
}

// literal reads a number or a text.
func (u *unpickler) literal(op byte) {
	le := binary.LittleEndian
	switch op {
	case opBinInt:
		u.push(int64(int32(le.Uint32(u.take(4)))))
	case opBinInt1:
		u.push(int64(u.take(1)[0]))
	case opBinInt2:
		u.push(int64(le.Uint16(u.take(2))))
	case opBinFloat:
		u.push(math.Float64frombits(binary.BigEndian.Uint64(u.take(8))))
	case opLong1:
		n := int(u.take(1)[0])
		if n > 8 {
			u.fail("an integer of %d bytes, want at most 8", n)
			return
		}
		v := int64(0)
		for i, d := range u.take(n) {
			v |= int64(d) << (8 * i)
		}
		if shift := 64 - 8*n; n > 0 { // two's complement
			v = v << shift >> shift
		}
		u.push(v)
	case opBinUnicode:
		n := le.Uint32(u.take(4))
		if n > uint32(len(u.data)) {
			u.fail("a text of %d bytes: the file is cut short or damaged", n)
			return
		}
		u.push(string(u.take(int(n))))
	}
}

// recall pushes what is remembered under a number.
func (u *unpickler) recall(key uint32) {
	v, ok := u.memo[key]
	if !ok {
		u.fail("nothing is remembered under %d: the file is damaged", key)
	}
	u.push(v)
}

// setItems puts the keys and values from that height on into the dictionary below them.
func (u *unpickler) setItems(height int) {
	if !u.want(height-1 >= u.floor() && (len(u.stack)-height)%2 == 0) {
		return
	}
	d, ok := u.stack[height-1].(*dict)
	if !ok {
		u.fail("items for a %s, want a dictionary", describe(u.stack[height-1]))
		return
	}
	for pair := range slices.Chunk(u.stack[height:], 2) {
		d.items = append(d.items, item{pair[0], pair[1]})
	}
	u.stack = u.stack[:height]
}

// appendItems drops what is appended to a list: no list means anything here.
func (u *unpickler) appendItems(height int) {
	if !u.want(height-1 >= u.floor()) {
		return
	}
	if _, ok := u.stack[height-1].(list); !ok {
		u.fail("elements for a %s, want a list", describe(u.stack[height-1]))
	}
	u.stack = u.stack[:height]
}

// global reads a name.
func (u *unpickler) global() {
	var parts [2]string
	for i := range parts {
		end := bytes.IndexByte(u.data[u.at:], '\n')
		if end < 0 || end > 200 {
			u.fail("a name without an end: the file is damaged")
			return
		}
		parts[i] = string(u.take(end))
		u.at++
	}
	name := parts[0] + "." + parts[1]
	if _, ok := storages[name]; !ok && name != orderedDict && name != rebuild && name != parameter {
		u.fail("the name %q has no place in a file of float32, float16 or bfloat16 tensors: it is refused, nothing is executed here", name)
	}
	u.push(global(name))
}

// reduce is the call of a name.
func (u *unpickler) reduce() {
	top, callee := u.pop(), u.pop()
	if u.err != nil {
		return
	}
	args, ok := top.(tuple)
	if !ok {
		u.fail("a call with a %s, want a tuple", describe(top))
		return
	}
	switch callee {
	case global(orderedDict):
		if len(args) != 0 {
			u.fail("%s with %d arguments, want none", orderedDict, len(args))
		}
		u.push(&dict{})
	case global(rebuild):
		t, err := rebuildTensor(args)
		if err != nil {
			u.fail("%w", err)
		}
		u.push(t)
	case global(parameter):
		if len(args) > 0 {
			if t, ok := args[0].(*Tensor); ok {
				u.push(t)
				return
			}
		}
		u.fail("%s without a tensor", parameter)
	default:
		u.fail("a call of a %s, which is none of the known functions", describe(callee))
	}
}

// persistent reads where a tensor's numbers are: ("storage", a storage's name, key, device, number of elements).
func (u *unpickler) persistent() {
	top := u.pop()
	id, ok := top.(tuple)
	if !ok || len(id) != 5 || id[0] != "storage" {
		u.fail("a reference %v, want one to a storage", describe(top))
		return
	}
	name, isName := id[1].(global)
	dtype, known := storages[string(name)]
	key, isText := id[2].(string)
	elems, isInt := id[4].(int64)
	if !isName || !known || !isText || !isInt || elems < 0 {
		u.fail("a storage without type, key or length: the file is damaged")
	}
	u.push(storage{dtype: dtype, key: key, elems: elems})
}

// describe names a value for errors.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "truth value"
	case int64:
		return "integer"
	case float64:
		return "number"
	case string:
		return "text"
	case tuple:
		return fmt.Sprintf("tuple of %d", len(v))
	case *dict:
		return "dictionary"
	case list:
		return "list"
	case global:
		return string(v)
	case storage:
		return "storage"
	case *Tensor:
		return "tensor"
	}
	return "value"
}
