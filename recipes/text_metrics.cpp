#include "recipes/text_metrics.h"

#include <cassert>
#include <fmt/format.h>

#include "core/model_file/hf_folder.h"
#include "evaluate/bert_score_layers.h"
#include "runtime/graph/encoder.h"

namespace edgellm {
namespace {

// What the model may be known by: the folder's name, then the name it was made from.
std::vector<std::string> names_of(const std::filesystem::path& folder, const nlohmann::json& config) {
  std::error_code error;
  std::filesystem::path whole = std::filesystem::weakly_canonical(folder, error);
  std::vector<std::string> names = {(error ? folder : whole).filename().string()};
  if (auto name = config.find("_name_or_path"); name != config.end() && name->is_string())
    names.push_back(name->get<std::string>());
  return names;
}

}  // namespace

Status TextMetrics::choose_layer(const std::filesystem::path& folder, const TextMetricsOptions& options) {
  size_t n_layers = encoder_->n_layers();
  bert_score_.layer = n_layers;
  layer_source_ = "the last layer";
  if (options.layer) {
    if (*options.layer > n_layers)
      return Error{fmt::format("{}: there is no layer {}: the encoder has {}", folder.string(),
                               *options.layer, n_layers)};
    bert_score_.layer = *options.layer;
    layer_source_ = "asked for";
    return {};
  }
  constexpr uint64_t kMostBytes = uint64_t{1} << 24;
  EDGELLM_ASSIGN_OR_RETURN(auto config, read_json_object(folder / "config.json", kMostBytes));
  for (const std::string& name : names_of(folder, config)) {
    std::optional<size_t> layer = bert_score_layer(name);
    if (!layer || *layer > n_layers) continue;
    bert_score_.layer = *layer;
    layer_source_ = fmt::format("bert-score's choice for {}", name);
    break;
  }
  return {};
}

Result<TextMetrics> TextMetrics::load(const std::filesystem::path& folder,
                                      const TextMetricsOptions& options) {
  EDGELLM_ASSIGN_OR_RETURN(auto encoder, Encoder::load(folder, {.n_threads = options.n_threads}));
  EDGELLM_ASSIGN_OR_RETURN(EncoderTokenizer tokenizer, EncoderTokenizer::from_folder(folder));
  TextMetrics made(std::move(encoder), std::move(tokenizer));
  if (options.bert_score) {
    EDGELLM_RETURN_IF_ERROR(made.choose_layer(folder, options));
    made.bert_score_.idf = options.idf;
    if (!options.baseline.empty()) {
      EDGELLM_ASSIGN_OR_RETURN(made.bert_score_.baseline,
                               read_bert_score_baseline(options.baseline, made.layer()));
    }
  }
  if (options.bleurt) {
    EDGELLM_ASSIGN_OR_RETURN(HfFolder opened, HfFolder::open(folder));
    EDGELLM_ASSIGN_OR_RETURN(made.head_, BleurtHead::read(opened, made.encoder_->n_embedding()));
  }
  return made;
}

Result<std::vector<BertScore>> TextMetrics::bert_scores(std::span<const TextPair> pairs,
                                                        const Progress& progress) {
  return edgellm::bert_scores(*encoder_, tokenizer_, pairs, bert_score_, progress);
}

Result<std::vector<double>> TextMetrics::bleurt_scores(std::span<const TextPair> pairs,
                                                       const Progress& progress) {
  assert(head_);
  return edgellm::bleurt_scores(*encoder_, tokenizer_, *head_, pairs, progress);
}

}  // namespace edgellm
