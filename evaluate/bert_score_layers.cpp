#include "evaluate/bert_score_layers.h"

#include <algorithm>
#include <iterator>

namespace edgellm {
namespace {

struct Row {
  std::string_view model;
  size_t layer;
};

constexpr Row kRows[] = {
    {"bert-base-uncased", 9},
    {"bert-large-uncased", 18},
    {"bert-base-cased-finetuned-mrpc", 9},
    {"bert-base-multilingual-cased", 9},
    {"bert-base-chinese", 8},
    {"roberta-base", 10},
    {"roberta-large", 17},
    {"roberta-large-mnli", 19},
    {"roberta-base-openai-detector", 7},
    {"roberta-large-openai-detector", 15},
    {"scibert_scivocab_uncased", 8},
    {"scibert_scivocab_cased", 9},
    {"scibert_basevocab_uncased", 9},
    {"distilroberta-base", 5},
    {"xlm-roberta-base", 9},
    {"xlm-roberta-large", 17},
    {"bert_uncased_L-2_H-128_A-2", 1},
    {"bert_uncased_L-2_H-256_A-4", 1},
    {"bert_uncased_L-2_H-512_A-8", 1},
    {"bert_uncased_L-2_H-768_A-12", 2},
    {"bert_uncased_L-4_H-128_A-2", 3},
    {"bert_uncased_L-4_H-256_A-4", 3},
    {"bert_uncased_L-4_H-512_A-8", 3},
    {"bert_uncased_L-4_H-768_A-12", 3},
    {"bert_uncased_L-6_H-128_A-2", 5},
    {"bert_uncased_L-6_H-256_A-4", 5},
    {"bert_uncased_L-6_H-512_A-8", 5},
    {"bert_uncased_L-6_H-768_A-12", 5},
    {"bert_uncased_L-8_H-128_A-2", 7},
    {"bert_uncased_L-8_H-256_A-4", 7},
    {"bert_uncased_L-8_H-512_A-8", 6},
    {"bert_uncased_L-8_H-768_A-12", 7},
    {"bert_uncased_L-10_H-128_A-2", 8},
    {"bert_uncased_L-10_H-256_A-4", 8},
    {"bert_uncased_L-10_H-512_A-8", 9},
    {"bert_uncased_L-10_H-768_A-12", 8},
    {"bert_uncased_L-12_H-128_A-2", 10},
    {"bert_uncased_L-12_H-256_A-4", 11},
    {"bert_uncased_L-12_H-512_A-8", 10},
    {"bert_uncased_L-12_H-768_A-12", 9},
    {"bertweet-base", 9},
    {"unsup-simcse-bert-base-uncased", 10},
    {"unsup-simcse-bert-large-uncased", 18},
    {"unsup-simcse-roberta-base", 8},
    {"unsup-simcse-roberta-large", 13},
    {"sup-simcse-bert-base-uncased", 10},
    {"sup-simcse-bert-large-uncased", 18},
    {"sup-simcse-roberta-base", 10},
    {"sup-simcse-roberta-large", 16},
    {"bert-base-turkish-cased", 10},
};

}  // namespace

std::optional<size_t> bert_score_layer(std::string_view model) {
  while (model.ends_with('/')) model.remove_suffix(1);
  model = model.substr(model.rfind('/') + 1);  // npos + 1 is 0
  const Row* found =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& row) { return row.model == model; });
  return found == std::end(kRows) ? std::nullopt : std::optional(found->layer);
}

}  // namespace edgellm
