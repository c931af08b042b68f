// A model file without what a ModelShape leaves out.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "core/model_file/gguf.h"
#include "core/model_file/importance_matrix.h"
#include "recipes/edit_store.h"
#include "recipes/model_shape.h"
#include "recipes/tensor_costs.h"

namespace edgellm {

// By number of the layer, in order of the channels.
using KeptChannels = std::map<uint32_t, std::vector<uint32_t>>;

// The channels whose share of the layer's output is the largest: mean squared activation (importance of the
// down matrix's columns; even where it has none) times the sum of squares of what the down matrix makes of
// it. down: [n_rows, n_channels].
std::vector<uint32_t> strongest_channels(const GgufTensor& down, const ImportanceMatrix& importance,
                                         size_t n);
// Of every part that the shape makes narrower.
Result<KeptChannels> kept_channels(const GgufFile& source, const ModelShape& shape,
                                   const ImportanceMatrix& importance);

// The edit (recipes/edited_model.h) that writes the shape. Narrower parts must be of types without blocks. A
// feed-forward part that is left out alone keeps a few channels that add nothing: stock llama.cpp passes over
// the attention too where a layer of deci has none.
Result<ModelEdit> shape_edit(const GgufFile& source, const ModelShape& shape, const KeptChannels& channels,
                             EditStore& store);

// The number in the source of each layer that stays.
std::vector<uint32_t> layers_left(const ModelShape& shape, uint32_t n_layers);
// The name that a tensor of the shaped file has in the source.
std::string source_name(const Architecture& architecture, const std::string& name,
                        const std::vector<uint32_t>& layers);

// What is known of the source, told of the shaped file: costs of narrower tensors are taken for their share
// of the whole one's. Tensors that stand only for a part that is left out are no candidates.
ImportanceMatrix shaped_importance(const ImportanceMatrix& importance, const GgufFile& shaped,
                                   const std::vector<uint32_t>& layers, const KeptChannels& channels);
Result<std::vector<TensorCandidates>> shaped_candidates(const std::vector<TensorCandidates>& of_source,
                                                        const GgufFile& shaped, const ModelShape& shape,
                                                        const std::vector<uint32_t>& layers,
                                                        const Hyperparameters& source, Codebooks codebooks);

}  // namespace edgellm
