"""The other side of python_protobuf.rs: the schema of the SageMaker guide in Google's own protobuf library.

  protobuf_peer.py read FILE          prints one JSON object a record
  protobuf_peer.py write FILE KIND    writes PAIRS in one of the ways KIND names
  protobuf_peer.py vocab FILE TEXT    writes the vocabulary of a text as JSON

The schema is built at run time, so no generated code and no protoc is needed. RecordIO is spoken in the plain
form that goes by the length alone.
"""

import collections
import json
import struct
import sys

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

MAGIC = 0xCED7230A
PAIRS = [([4, 5, 1, 2147483647], [7]), ([300], [128, 127, 16384, 4]), ([9] * 50, list(range(1, 200)))]

Field = descriptor_pb2.FieldDescriptorProto


def record_class(packed):
    """The class of aialgs.data.Record, with packed or unpacked repeated numbers."""
    file = descriptor_pb2.FileDescriptorProto(name="record.proto", package="aialgs.data", syntax="proto2")

    def message(name, parent=file.message_type):
        made = parent.add()
        made.name = name
        return made

    def field(owner, name, number, kind, label=Field.LABEL_OPTIONAL, of=None):
        made = owner.field.add(name=name, number=number, type=kind, label=label)
        if of:
            made.type_name = ".aialgs.data." + of
        elif label == Field.LABEL_REPEATED and kind not in (Field.TYPE_BYTES, Field.TYPE_STRING):
            made.options.packed = packed
        return made

    tensors = [("Float32", Field.TYPE_FLOAT), ("Float64", Field.TYPE_DOUBLE), ("Int32", Field.TYPE_INT32)]
    for name, kind in tensors:
        tensor = message(name + "Tensor")
        field(tensor, "values", 1, kind, Field.LABEL_REPEATED)
        field(tensor, "keys", 2, Field.TYPE_UINT64, Field.LABEL_REPEATED)
        field(tensor, "shape", 3, Field.TYPE_UINT64, Field.LABEL_REPEATED)
    blob = message("Bytes")
    field(blob, "value", 1, Field.TYPE_BYTES, Field.LABEL_REPEATED)
    field(blob, "content_type", 2, Field.TYPE_STRING)
    value = message("Value")
    value.oneof_decl.add(name="value")
    for name, number, of in [
        ("float32_tensor", 2, "Float32Tensor"),
        ("float64_tensor", 3, "Float64Tensor"),
        ("int32_tensor", 7, "Int32Tensor"),
        ("bytes", 9, "Bytes"),
    ]:
        field(value, name, number, Field.TYPE_MESSAGE, of=of).oneof_index = 0
    record = message("Record")
    for name, number in [("features", 1), ("label", 2)]:
        entry = message(name.capitalize() + "Entry", record.nested_type)
        entry.options.map_entry = True
        field(entry, "key", 1, Field.TYPE_STRING)
        field(entry, "value", 2, Field.TYPE_MESSAGE, of="Value")
        field(record, name, number, Field.TYPE_MESSAGE, Field.LABEL_REPEATED, "Record." + entry.name)
    for name, number in [("uid", 3), ("metadata", 4), ("configuration", 5)]:
        field(record, name, number, Field.TYPE_STRING)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("aialgs.data.Record"))


def read(path):
    record_type = record_class(packed=True)
    with open(path, "rb") as file:
        while header := file.read(8):
            magic, length = struct.unpack("<II", header)
            assert magic == MAGIC, hex(magic)
            payload = file.read(length)
            assert file.read(-length % 4) == bytes(-length % 4)
            record = record_type.FromString(payload)
            # Serialised again it must be the same bytes: nothing unknown, nothing left out.
            assert record.SerializeToString(deterministic=True) == payload
            assert not record.label and not record.HasField("uid")
            features = {name: list(record.features[name].int32_tensor.values) for name in record.features}
            print(json.dumps(features, sort_keys=True))


def write(path, kind):
    record_type = record_class(packed=kind != "unpacked")
    with open(path, "wb") as file:
        for number, (source, target) in enumerate(PAIRS):
            record = record_type()
            if kind == "float64":
                record.features["source"].float64_tensor.values.extend(source)
            else:
                record.features["source"].int32_tensor.values.extend(source)
            if kind == "float32":
                record.features["target"].float32_tensor.values.extend(target)
            elif kind == "label":
                record.label["target"].int32_tensor.values.extend(target)
            else:
                record.features["target"].int32_tensor.values.extend(target)
            if kind == "extras":
                record.uid = str(number)
                record.metadata = "made by Python"
                record.configuration = "{}"
                record.features["picture"].bytes.value.append(b"\x00\xff")
                record.features["source"].int32_tensor.shape.append(len(source))
            payload = record.SerializeToString()
            file.write(struct.pack("<II", MAGIC, len(payload)) + payload + bytes(-len(payload) % 4))


def vocab(path, text):
    symbols = ["<pad>", "<unk>", "<s>", "</s>"]
    with open(text, encoding="utf-8") as lines:
        counts = collections.Counter(token for line in lines for token in line.split())
    ranked = sorted(((count, word) for word, count in counts.items() if word not in symbols), reverse=True)
    ids = {word: number for number, word in enumerate(symbols + [word for _, word in ranked])}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(ids, file, indent=4, ensure_ascii=False)


if __name__ == "__main__":
    {"read": read, "write": write, "vocab": vocab}[sys.argv[1]](*sys.argv[2:])
