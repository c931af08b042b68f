#include "evaluate/bert_score.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <map>
#include <memory>
#include <unordered_set>

#include "core/base/output_file.h"
#include "core/text/word_piece_normalizer.h"
#include "evaluate/token_match.h"

namespace edgellm {
namespace {

using Ids = std::vector<int32_t>;

// Texts are encoded for so many pairs at a time, which bounds the memory of their vectors.
constexpr size_t kPairsAtOnce = 64;

// Python's str.strip takes the separators U+001C to U+001F for white space too.
bool is_stripped(int32_t code_point) {
  return is_white_space(code_point) || (code_point >= 0x1C && code_point <= 0x1F);
}

std::string_view stripped(std::string_view text) {
  while (!text.empty()) {
    std::string_view rest = text;
    if (!is_stripped(next_code_point(rest))) break;
    text = rest;
  }
  while (!text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && (uint8_t(text[start]) & 0xC0) == 0x80) --start;
    std::string_view last = text.substr(start);
    if (!is_stripped(next_code_point(last))) break;
    text = text.substr(0, start);
  }
  return text;
}

// The different texts of all pairs, each with the last pair that needs it.
class TextTable {
 public:
  struct Text {
    const Ids* ids = nullptr;
    size_t last_pair = 0;
    TokenVectors vectors;
  };
  size_t add(Ids ids, size_t pair) {
    auto [at, added] = numbers_.try_emplace(std::move(ids), texts_.size());
    if (added) texts_.push_back({&at->first, pair, {}});
    texts_[at->second].last_pair = pair;
    return at->second;
  }
  Text& operator[](size_t number) { return texts_[number]; }

 private:
  std::map<Ids, size_t> numbers_;
  std::vector<Text> texts_;
};

class Scorer {
 public:
  Scorer(TextEncoder& encoder, const EncoderTokenizer& tokenizer, std::span<const TextPair> pairs,
         const BertScoreOptions& options);
  Result<std::vector<BertScore>> run(const Progress& progress);

 private:
  struct Pair {
    size_t candidate = 0, reference = 0;  // in texts_
    bool candidate_is_padded = false, reference_is_padded = false;
  };
  void find_padding();
  Status encode(size_t first_pair, size_t end_pair);
  BertScore score(const Pair& pair);
  double weighted(std::span<const float> cosines, const Ids& ids, bool other_is_padded) const;
  double weight(int32_t id) const;

  TextEncoder& encoder_;
  const EncoderTokenizer& tokenizer_;
  const BertScoreOptions& options_;
  TextTable texts_;
  std::vector<Pair> pairs_;
  TokenRarity rarity_;
};

Scorer::Scorer(TextEncoder& encoder, const EncoderTokenizer& tokenizer, std::span<const TextPair> pairs,
               const BertScoreOptions& options)
    : encoder_(encoder), tokenizer_(tokenizer), options_(options) {
  for (size_t i = 0; i < pairs.size(); ++i) {
    Ids candidate = bert_score_ids(pairs[i].candidate, tokenizer, encoder.most_tokens());
    Ids reference = bert_score_ids(pairs[i].reference, tokenizer, encoder.most_tokens());
    if (options.idf) rarity_.add(reference);
    pairs_.push_back({texts_.add(std::move(candidate), i), texts_.add(std::move(reference), i)});
  }
  find_padding();
}

void Scorer::find_padding() {
  size_t n_batch = std::max<size_t>(options_.n_pairs_in_batch, 1);
  for (size_t begin = 0; begin < pairs_.size(); begin += n_batch) {
    std::span<Pair> batch = std::span(pairs_).subspan(begin, std::min(n_batch, pairs_.size() - begin));
    size_t longest_candidate = 0, longest_reference = 0;
    for (const Pair& pair : batch) {
      longest_candidate = std::max(longest_candidate, texts_[pair.candidate].ids->size());
      longest_reference = std::max(longest_reference, texts_[pair.reference].ids->size());
    }
    for (Pair& pair : batch) {
      pair.candidate_is_padded = texts_[pair.candidate].ids->size() < longest_candidate;
      pair.reference_is_padded = texts_[pair.reference].ids->size() < longest_reference;
    }
  }
}

// Gives vectors to the texts of these pairs that have none yet.
Status Scorer::encode(size_t first_pair, size_t end_pair) {
  std::vector<size_t> missing;
  for (size_t i = first_pair; i < end_pair; ++i)
    for (size_t text : {pairs_[i].candidate, pairs_[i].reference})
      if (texts_[text].vectors.n_tokens == 0) missing.push_back(text);
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  if (missing.empty()) return {};
  std::vector<TextEncoderInput> inputs;
  for (size_t text : missing) inputs.push_back({*texts_[text].ids, {}});
  std::vector<float> hidden;
  EDGELLM_RETURN_IF_ERROR(encoder_.encode(inputs, options_.layer, hidden));
  std::span<const float> rest = hidden;
  for (size_t text : missing) {
    size_t n_values = texts_[text].ids->size() * encoder_.n_embedding();
    texts_[text].vectors = TokenVectors::normalized(rest.first(n_values), encoder_.n_embedding());
    rest = rest.subspan(n_values);
  }
  return {};
}

double Scorer::weight(int32_t id) const {
  if (options_.idf) return rarity_.weight(id);
  return id == tokenizer_.classification() || id == tokenizer_.separator() ? 0 : 1;
}

double Scorer::weighted(std::span<const float> cosines, const Ids& ids, bool other_is_padded) const {
  double sum = 0, weights = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    double w = weight(ids[i]);
    weights += w;
    sum += w * (other_is_padded ? std::max(cosines[i], 0.0f) : cosines[i]);
  }
  return sum / weights;
}

BertScore Scorer::score(const Pair& pair) {
  const TextTable::Text &candidate = texts_[pair.candidate], &reference = texts_[pair.reference];
  // [CLS] and [SEP] alone.
  constexpr size_t kEmpty = 2;
  BertScore score;
  if (candidate.ids->size() > kEmpty && reference.ids->size() > kEmpty) {
    TokenMatch match = match_tokens(candidate.vectors, reference.vectors);
    score.precision = weighted(match.first, *candidate.ids, pair.reference_is_padded);
    score.recall = weighted(match.second, *reference.ids, pair.candidate_is_padded);
    score.f1 = 2 * score.precision * score.recall / (score.precision + score.recall);
    if (std::isnan(score.f1)) score.f1 = 0;
  }
  if (options_.baseline) {
    const BertScore& baseline = *options_.baseline;
    score.precision = (score.precision - baseline.precision) / (1 - baseline.precision);
    score.recall = (score.recall - baseline.recall) / (1 - baseline.recall);
    score.f1 = (score.f1 - baseline.f1) / (1 - baseline.f1);
  }
  return score;
}

Result<std::vector<BertScore>> Scorer::run(const Progress& progress) {
  ProgressMeter meter(progress, "BERTScore", double(pairs_.size()));
  std::vector<BertScore> scores;
  scores.reserve(pairs_.size());
  for (size_t begin = 0; begin < pairs_.size(); begin += kPairsAtOnce) {
    size_t end = std::min(begin + kPairsAtOnce, pairs_.size());
    EDGELLM_RETURN_IF_ERROR(encode(begin, end));
    for (size_t i = begin; i < end; ++i) {
      scores.push_back(score(pairs_[i]));
      for (size_t text : {pairs_[i].candidate, pairs_[i].reference})
        if (texts_[text].last_pair == i) texts_[text].vectors = {};
    }
    meter.add(double(end - begin));
  }
  meter.finish();
  return scores;
}

}  // namespace

std::vector<int32_t> bert_score_ids(std::string_view text, const EncoderTokenizer& tokenizer,
                                    size_t most_tokens) {
  EncodedTextOptions options;
  options.most_tokens = std::min(most_tokens, tokenizer.most_tokens());
  options.add_prefix_space = true;
  return tokenizer.encode(stripped(text), options).ids;
}

void TokenRarity::add(std::span<const int32_t> ids) {
  for (int32_t id : std::unordered_set<int32_t>(ids.begin(), ids.end())) ++n_texts_with_[id];
  ++n_texts_;
}

double TokenRarity::weight(int32_t id) const {
  auto found = n_texts_with_.find(id);
  size_t n_with = found == n_texts_with_.end() ? 0 : found->second;
  return std::log(double(n_texts_ + 1) / double(n_with + 1));
}

Result<BertScore> read_bert_score_baseline(const std::filesystem::path& path, size_t layer) {
  EDGELLM_ASSIGN_OR_RETURN(std::string text, read_text_file(path, uint64_t{1} << 20));
  std::string_view rest = text;
  for (size_t n_line = 1; !rest.empty(); ++n_line) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (n_line == 1 && line.starts_with("LAYER")) continue;
    double fields[4] = {};
    const char *at = line.data(), *end = line.data() + line.size();
    size_t n_fields = 0;
    for (; n_fields < 4 && at < end; ++n_fields) {
      auto [next, error] = std::from_chars(at, end, fields[n_fields]);
      if (error != std::errc()) break;
      at = next < end && (*next == ',' || *next == '\t') ? next + 1 : next;
    }
    if (n_fields == 0 && stripped(line).empty()) continue;
    if (n_fields != 4)
      return Error{fmt::format("{}:{}: wanted LAYER,P,R,F as bert-score's baseline files have them, got '{}'",
                               path.string(), n_line, line.substr(0, 60))};
    if (fields[0] == double(layer)) return BertScore{fields[1], fields[2], fields[3]};
  }
  return Error{fmt::format("{}: it has no baseline for layer {}", path.string(), layer)};
}

Result<std::vector<BertScore>> bert_scores(TextEncoder& encoder, const EncoderTokenizer& tokenizer,
                                           std::span<const TextPair> pairs, const BertScoreOptions& options,
                                           const Progress& progress) {
  return Scorer(encoder, tokenizer, pairs, options).run(progress);
}

BertScore mean(std::span<const BertScore> scores) {
  BertScore mean;
  for (const BertScore& score : scores) {
    mean.precision += score.precision / double(scores.size());
    mean.recall += score.recall / double(scores.size());
    mean.f1 += score.f1 / double(scores.size());
  }
  return mean;
}

}  // namespace edgellm
