#include "core/text/sentencepiece_model.h"

#include <cstring>
#include <fmt/format.h>
#include <optional>

namespace edgellm {
namespace {

// Reads the wire format of protocol buffers field by field: https://protobuf.dev/programming-guides/encoding/
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  uint32_t number = 0;
  uint64_t integer = 0;    // of a varint field
  float real = 0;          // of a 32-bit field
  std::string_view bytes;  // of a length-delimited field

  // False at the end or on damage; ok() tells which.
  bool next() {
    if (rest_.empty()) return false;
    std::optional<uint64_t> key = varint();
    if (!key) return fail();
    number = uint32_t(*key >> 3);
    integer = 0;
    bytes = {};
    switch (*key & 7) {
      case 0: {
        std::optional<uint64_t> value = varint();
        if (!value) return fail();
        integer = *value;
        return true;
      }
      case 1:
        return skip(8);
      case 2: {
        std::optional<uint64_t> length = varint();
        if (!length || *length > rest_.size()) return fail();
        bytes = rest_.substr(0, size_t(*length));
        return skip(size_t(*length));
      }
      case 5:
        if (rest_.size() < 4) return fail();
        std::memcpy(&real, rest_.data(), 4);
        return skip(4);
      default:
        return fail();
    }
  }
  bool ok() const { return ok_; }

 private:
  bool fail() { return ok_ = false; }
  bool skip(size_t n) {
    if (rest_.size() < n) return fail();
    rest_.remove_prefix(n);
    return true;
  }
  std::optional<uint64_t> varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      auto byte = uint8_t(rest_[0]);
      rest_.remove_prefix(1);
      value |= uint64_t(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return std::nullopt;
  }
  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace

Result<SentencePieceModel> parse_sentencepiece_model(std::string_view bytes, SentencePieceKind wanted,
                                                     std::string_view name) {
  SentencePieceModel model;
  const Error damaged{fmt::format("{}: this is no SentencePiece model, or it is cut short", name)};
  uint64_t kind = 1;
  FieldReader fields(bytes);
  while (fields.next()) {
    FieldReader inner(fields.bytes);
    if (fields.number == 1) {
      SentencePieceModel::Piece piece;
      while (inner.next()) {
        if (inner.number == 1) piece.text = inner.bytes;
        if (inner.number == 2) piece.score = inner.real;
        if (inner.number == 3) piece.type = int32_t(inner.integer);
      }
      if (piece.type < 1 || piece.type > 6)
        return Error{
            fmt::format("{}: piece {} has the unknown type {}", name, model.pieces.size(), piece.type)};
      model.pieces.push_back(std::move(piece));
    } else if (fields.number == 2) {
      while (inner.next()) {
        if (inner.number == 3) kind = inner.integer;
        if (inner.number == 24) model.treat_whitespace_as_suffix = inner.integer != 0;
        if (inner.number == 35) model.byte_fallback = inner.integer != 0;
        if (inner.number == 40) model.unknown = int32_t(inner.integer);
        if (inner.number == 41) model.bos = int32_t(inner.integer);
        if (inner.number == 42) model.eos = int32_t(inner.integer);
        if (inner.number == 43) model.pad = int32_t(inner.integer);
      }
    } else if (fields.number == 3) {
      while (inner.next()) {
        if (inner.number == 2) model.character_map = inner.bytes;
        if (inner.number == 3) model.add_dummy_prefix = inner.integer != 0;
        if (inner.number == 4) model.remove_extra_whitespaces = inner.integer != 0;
        if (inner.number == 5) model.escape_whitespaces = inner.integer != 0;
      }
    }
    if (!inner.ok()) return damaged;
  }
  if (!fields.ok() || model.pieces.empty()) return damaged;
  if (kind != uint64_t(wanted)) {
    bool unigram = wanted == SentencePieceKind::unigram;
    return Error{fmt::format("{}: wanted a model of the {} kind ({}), got kind {}", name,
                             unigram ? "unigram" : "byte pair", int(wanted), kind)};
  }
  return model;
}

}  // namespace edgellm
