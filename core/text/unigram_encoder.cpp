#include "core/text/unigram_encoder.h"

#include <algorithm>
#include <fmt/format.h>

namespace edgellm {
namespace {

constexpr double kUnknownPenalty = 10;

size_t character_bytes(std::string_view text) {
  auto lead = uint8_t(text[0]);
  size_t n_bytes = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return std::min(n_bytes, text.size());
}

}  // namespace

Result<UnigramEncoder> UnigramEncoder::create(std::vector<Piece> pieces, const Options& options) {
  if (options.unknown < 0 || size_t(options.unknown) >= pieces.size())
    return Error{fmt::format("a Unigram model needs the number of its unknown piece, got {} of {} pieces",
                             options.unknown, pieces.size())};
  UnigramEncoder made;
  made.pieces_ = std::move(pieces);
  made.options_ = options;
  double smallest = 0;
  bool any = false;
  for (uint32_t i = 0; i < made.pieces_.size(); ++i) {
    const Piece& piece = made.pieces_[i];
    made.all_sorted_.push_back(i);
    if (piece.is_normal) {
      smallest = any ? std::min(smallest, piece.score) : piece.score;
      made.largest_score_ = any ? std::max(made.largest_score_, piece.score) : piece.score;
      any = true;
    }
    if (piece.is_spelled_with && !piece.text.empty()) made.sorted_.push_back(i);
  }
  made.unknown_score_ = smallest - kUnknownPenalty;
  auto by_text = [&](uint32_t a, uint32_t b) { return made.pieces_[a].text < made.pieces_[b].text; };
  std::stable_sort(made.sorted_.begin(), made.sorted_.end(), by_text);
  std::stable_sort(made.all_sorted_.begin(), made.all_sorted_.end(), by_text);
  for (uint32_t i = 0; i < made.sorted_.size(); ++i) {
    Range& range = made.by_first_byte_[uint8_t(made.pieces_[made.sorted_[i]].text[0])];
    if (range.begin == range.end) range.begin = i;
    range.end = i + 1;
  }
  bool all_bytes = options.byte_fallback;
  for (size_t byte = 0; byte < 256; ++byte) {
    made.byte_pieces_[byte] = made.find(fmt::format("<0x{:02X}>", byte));
    all_bytes &= made.byte_pieces_[byte] >= 0;
  }
  made.options_.byte_fallback = all_bytes;
  return made;
}

int32_t UnigramEncoder::find(std::string_view text) const {
  auto found = std::lower_bound(all_sorted_.begin(), all_sorted_.end(), text,
                                [&](uint32_t id, std::string_view t) { return pieces_[id].text < t; });
  return found != all_sorted_.end() && pieces_[*found].text == text ? int32_t(*found) : -1;
}

// Of the pieces in `range`, which share their first `depth` bytes, those with `byte` after these.
UnigramEncoder::Range UnigramEncoder::narrowed(Range range, size_t depth, uint8_t byte) const {
  auto next = [&](uint32_t id) {
    const std::string& text = pieces_[id].text;
    return text.size() > depth ? int(uint8_t(text[depth])) : -1;
  };
  auto begin = sorted_.begin() + range.begin, end = sorted_.begin() + range.end;
  auto first = std::partition_point(begin, end, [&](uint32_t id) { return next(id) < byte; });
  auto last = std::partition_point(first, end, [&](uint32_t id) { return next(id) == byte; });
  return {uint32_t(first - sorted_.begin()), uint32_t(last - sorted_.begin())};
}

void UnigramEncoder::append_unknown(std::string_view text, std::vector<int32_t>& ids) const {
  if (!options_.byte_fallback) return ids.push_back(options_.unknown);
  for (char c : text) ids.push_back(byte_pieces_[uint8_t(c)]);
}

void UnigramEncoder::encode(std::string_view text, std::vector<int32_t>& ids) const {
  // The best path to each place, by the piece that ends there.
  struct Node {
    double score = 0;
    uint32_t start = 0;
    int32_t id = -1;  // -1: not reached
  };
  std::vector<Node> nodes(text.size() + 1);
  auto offer = [&](size_t start, size_t end, int32_t id, double score) {
    double candidate = score + nodes[start].score;
    if (options_.single_precision) candidate = double(float(candidate));
    if (nodes[end].id >= 0 && !(candidate > nodes[end].score)) return;
    nodes[end] = {candidate, uint32_t(start), id};
  };
  for (size_t start = 0; start < text.size();) {
    size_t n_character = character_bytes(text.substr(start));
    bool is_known = false;  // the character alone
    Range range = by_first_byte_[uint8_t(text[start])];
    for (size_t depth = 1; range.begin < range.end; ++depth) {
      // Pieces are sorted, so one that ends here is at the beginning of its range.
      for (uint32_t i = range.begin; i < range.end && pieces_[sorted_[i]].text.size() == depth; ++i) {
        const Piece& piece = pieces_[sorted_[i]];
        double score =
            piece.is_user_defined ? double(float(depth) * float(largest_score_)) - 0.1 : piece.score;
        offer(start, start + depth, int32_t(sorted_[i]), score);
        is_known |= depth == n_character;
      }
      if (start + depth >= text.size()) break;
      range = narrowed(range, depth, uint8_t(text[start + depth]));
    }
    if (!is_known) offer(start, start + n_character, options_.unknown, unknown_score_);
    start += n_character;
  }

  std::vector<Node> path;  // from the last piece to the first
  std::vector<uint32_t> ends;
  for (size_t end = text.size(); end > 0; end = nodes[end].start) {
    path.push_back(nodes[end]);
    ends.push_back(uint32_t(end));
  }
  for (size_t i = path.size(); i > 0;) {
    --i;
    if (path[i].id != options_.unknown) {
      ids.push_back(path[i].id);
      continue;
    }
    size_t start = path[i].start;
    while (i > 0 && path[i - 1].id == options_.unknown) --i;
    append_unknown(text.substr(start, ends[i] - start), ids);
  }
}

}  // namespace edgellm
