package pth

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// unpickler follows a pickle.
type unpickler struct {
	data  []byte
	at    int
	stack []any
	marks []int // heights of the stack
	memo  map[uint32]any
}

// unpickle gives the dictionary that a pickle describes.
func unpickle(data []byte) (*dict, error) {
	u := &unpickler{data: data, memo: make(map[uint32]any)}
	for {
		begin := u.at
		op, err := u.take(1)
		if err == nil && op[0] == opStop {
			break
		}
		if err == nil {
			err = u.step(op[0])
		}
		if err != nil {
			return nil, fmt.Errorf("pickle, byte %d: %w", begin, err)
		}
	}
	top, err := u.pop()
	if err != nil {
		return nil, fmt.Errorf("pickle: %w", err)
	}
	d, ok := top.(*dict)
	if !ok {
		return nil, fmt.Errorf("pickle: it holds a %s, want a dictionary of tensors", describe(top))
	}
	return d, nil
}

// step follows one instruction.
func (u *unpickler) step(op byte) error {
	switch op {
	case opProto:
		v, err := u.take(1)
		if err == nil && v[0] != 2 && v[0] != 3 {
			return fmt.Errorf("protocol %d, want torch.save's own (2)", v[0])
		}
		return err
	case opMark:
		u.marks = append(u.marks, len(u.stack))
		return nil
	case opNone:
		return u.push(nil)
	case opNewTrue, opNewFalse:
		return u.push(op == opNewTrue)
	case opEmptyDict:
		return u.push(&dict{})
	case opEmptyList:
		return u.push(list{})
	case opEmptyTuple:
		return u.push(tuple{})
	case opTuple1, opTuple2, opTuple3:
		return u.tuple(len(u.stack) - int(op-opTuple1) - 1)
	case opTuple:
		height, err := u.popMark()
		if err != nil {
			return err
		}
		return u.tuple(height)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat, opBinUnicode:
		return u.literal(op)
	case opBinPut, opLongBinPut, opBinGet, opLongBinGet:
		return u.memoise(op)
	case opSetItem:
		return u.setItems(len(u.stack) - 2)
	case opSetItems:
		height, err := u.popMark()
		if err != nil {
			return err
		}
		return u.setItems(height)
	case opAppend, opAppends:
		return u.appendItems(op)
	case opGlobal:
		return u.global()
	case opReduce:
		return u.reduce()
	case opBuild: // attributes of a dictionary, such as _metadata: dropped
		if _, err := u.pop(); err != nil {
			return err
		}
		top, err := u.top()
		if _, ok := top.(*dict); err == nil && !ok {
			return fmt.Errorf("a state for a %s, want a dictionary", describe(top))
		}
		return err
	case opBinPersID:
		return u.persistent()
	}
	return fmt.Errorf("instruction %#02x (%q) has no place in a file of tensors: nothing is executed here", op, op)
}

// take gives the next n bytes of the pickle.
func (u *unpickler) take(n int) ([]byte, error) {
	if left := len(u.data) - u.at; n > left {
		return nil, fmt.Errorf("%d bytes wanted, %d are left: the file is cut short or damaged", n, left)
	}
	raw := u.data[u.at:][:n]
	u.at += n
	return raw, nil
}

func (u *unpickler) push(v any) error {
	u.stack = append(u.stack, v)
	return nil
}

// floor is where the values begin that instructions without a mark may use.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

var errStack = errors.New("there are too few values for this instruction: the file is damaged")

func (u *unpickler) top() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errStack
	}
	return u.stack[len(u.stack)-1], nil
}

func (u *unpickler) pop() (any, error) {
	v, err := u.top()
	if err == nil {
		u.stack = u.stack[:len(u.stack)-1]
	}
	return v, err
}

// popMark gives the height of the stack at the last mark.
func (u *unpickler) popMark() (int, error) {
	if len(u.marks) == 0 {
		return 0, errStack
	}
	height := u.floor()
	u.marks = u.marks[:len(u.marks)-1]
	return height, nil
}

// tuple makes one of the values from that height on.
func (u *unpickler) tuple(height int) error {
	if height < u.floor() {
		return errStack
	}
	t := append(tuple{}, u.stack[height:]...)
	u.stack = append(u.stack[:height], t)
	return nil
}

// literal reads a number or a text.
func (u *unpickler) literal(op byte) error {
	size := map[byte]int{opBinInt: 4, opBinInt1: 1, opBinInt2: 2, opLong1: 1, opBinFloat: 8, opBinUnicode: 4}[op]
	raw, err := u.take(size)
	if err != nil {
		return err
	}
	le := binary.LittleEndian
	switch op {
	case opBinInt:
		return u.push(int64(int32(le.Uint32(raw))))
	case opBinInt1:
		return u.push(int64(raw[0]))
	case opBinInt2:
		return u.push(int64(le.Uint16(raw)))
	case opBinFloat:
		return u.push(math.Float64frombits(binary.BigEndian.Uint64(raw)))
	case opLong1:
		if raw[0] > 8 {
			return fmt.Errorf("an integer of %d bytes, want at most 8", raw[0])
		}
		digits, err := u.take(int(raw[0]))
		if err != nil {
			return err
		}
		v := int64(0)
		for i, d := range digits {
			v |= int64(d) << (8 * i)
		}
		if n := len(digits); n > 0 && n < 8 && digits[n-1] >= 0x80 { // two's complement
			v -= 1 << (8 * n)
		}
		return u.push(v)
	}
	n := le.Uint32(raw)
	if n > uint32(len(u.data)) {
		return fmt.Errorf("a text of %d bytes: the file is cut short or damaged", n)
	}
	text, err := u.take(int(n))
	if err != nil {
		return err
	}
	return u.push(string(text))
}

// memoise remembers the top of the stack under a number, or puts what is remembered there.
func (u *unpickler) memoise(op byte) error {
	size := 1
	if op == opLongBinPut || op == opLongBinGet {
		size = 4
	}
	raw, err := u.take(size)
	if err != nil {
		return err
	}
	key := uint32(raw[0])
	if size == 4 {
		key = binary.LittleEndian.Uint32(raw)
	}
	if op == opBinPut || op == opLongBinPut {
		u.memo[key], err = u.top()
		return err
	}
	v, ok := u.memo[key]
	if !ok {
		return fmt.Errorf("nothing is remembered under %d: the file is damaged", key)
	}
	return u.push(v)
}

// setItems puts the keys and values from that height on into the dictionary below them.
func (u *unpickler) setItems(height int) error {
	if height-1 < u.floor() || (len(u.stack)-height)%2 != 0 {
		return errStack
	}
	d, ok := u.stack[height-1].(*dict)
	if !ok {
		return fmt.Errorf("items for a %s, want a dictionary", describe(u.stack[height-1]))
	}
	for i := height; i < len(u.stack); i += 2 {
		d.items = append(d.items, item{u.stack[i], u.stack[i+1]})
	}
	u.stack = u.stack[:height]
	return nil
}

// appendItems drops what is appended to a list: no list means anything here.
func (u *unpickler) appendItems(op byte) error {
	height := len(u.stack) - 1
	if op == opAppends {
		var err error
		if height, err = u.popMark(); err != nil {
			return err
		}
	}
	if height-1 < u.floor() {
		return errStack
	}
	if _, ok := u.stack[height-1].(list); !ok {
		return fmt.Errorf("elements for a %s, want a list", describe(u.stack[height-1]))
	}
	u.stack = u.stack[:height]
	return nil
}

// global reads a name.
func (u *unpickler) global() error {
	var parts [2]string
	for i := range parts {
		end := bytes.IndexByte(u.data[u.at:], '\n')
		if end < 0 || end > 200 {
			return errors.New("a name without an end: the file is damaged")
		}
		parts[i] = string(u.data[u.at:][:end])
		u.at += end + 1
	}
	name := parts[0] + "." + parts[1]
	if _, ok := storages[name]; !ok && name != orderedDict && name != rebuild && name != parameter {
		return fmt.Errorf("the name %q has no place in a file of float32, float16 or bfloat16 tensors: it is refused, nothing is executed here", name)
	}
	return u.push(global(name))
}

// reduce is the call of a name.
func (u *unpickler) reduce() error {
	top, err := u.pop()
	if err != nil {
		return err
	}
	callee, err := u.pop()
	if err != nil {
		return err
	}
	args, ok := top.(tuple)
	if !ok {
		return fmt.Errorf("a call with a %s, want a tuple", describe(top))
	}
	switch callee {
	case global(orderedDict):
		if len(args) != 0 {
			return fmt.Errorf("%s with %d arguments, want none", orderedDict, len(args))
		}
		return u.push(&dict{})
	case global(rebuild):
		t, err := rebuildTensor(args)
		if err != nil {
			return err
		}
		return u.push(t)
	case global(parameter):
		if len(args) > 0 {
			if t, ok := args[0].(*Tensor); ok {
				return u.push(t)
			}
		}
		return fmt.Errorf("%s without a tensor", parameter)
	}
	return fmt.Errorf("a call of a %s, which is none of the known functions", describe(callee))
}

// persistent reads where a tensor's numbers are: ("storage", a storage's name, key, device, number of elements).
func (u *unpickler) persistent() error {
	top, err := u.pop()
	if err != nil {
		return err
	}
	id, ok := top.(tuple)
	if !ok || len(id) != 5 || id[0] != "storage" {
		return fmt.Errorf("a reference %v, want one to a storage", describe(top))
	}
	name, isName := id[1].(global)
	dtype, known := storages[string(name)]
	key, isText := id[2].(string)
	elems, isInt := id[4].(int64)
	if !isName || !known || !isText || !isInt || elems < 0 {
		return errors.New("a storage without type, key or length: the file is damaged")
	}
	return u.push(storage{dtype: dtype, key: key, elems: elems})
}

// describe names a value for errors.
func describe(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool, int64, float64, string:
		return fmt.Sprintf("%T", v)
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
