// Which layer BERTScore takes of which model: those of bert-score 0.3.13, chosen by their correlation with
// people's judgements (WMT16), for the families an encoder can be loaded of.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace edgellm {

// `model`: a name or path such as "roberta-large", "FacebookAI/roberta-large" or "models/roberta-large"; its
// last part counts. Nothing for a model that is not in the table.
std::optional<size_t> bert_score_layer(std::string_view model);

}  // namespace edgellm
