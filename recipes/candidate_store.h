// Encoded versions of a model's tensors, made when first asked for and kept on disk: the same (tensor, type)
// is measured in many plans and written in the end without being encoded again.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "core/base/mapped_file.h"
#include "core/base/result.h"
#include "core/base/thread_pool.h"
#include "core/model_file/gguf.h"
#include "core/model_file/importance_matrix.h"

namespace edgellm {

class CandidateStore {
 public:
  // folder: made if missing; a file in it is trusted when its size is right, so the folder must belong to
  // this source and importance (the caller names it by their hash). All references must outlive the store.
  CandidateStore(std::filesystem::path folder, const GgufFile& source, const ImportanceMatrix* importance,
                 ThreadPool& threads)
      : folder_(std::move(folder)), source_(source), importance_(importance), threads_(threads) {}

  // The file of a tensor's encoding, for who makes one by other means and puts it there beforehand.
  static std::filesystem::path path_of(const std::filesystem::path& folder, const std::string& tensor,
                                       TensorType type);

  // Whether a store's folder has all of the tensor's bytes in this type, and no more.
  static bool is_stored(const std::filesystem::path& folder, const GgufTensor& tensor, TensorType type);

  const std::filesystem::path& folder() const { return folder_; }

  // The folder holds this tensor changed by other means, in its own type too.
  void use_changed(const std::string& tensor) { changed_.insert(tensor); }

  // What `other` has of the same weights with the same importance is linked instead of encoded again. names:
  // of this source's tensors that are called otherwise there. `other` must outlive this store.
  void share(const CandidateStore& other, std::map<std::string, std::string> names = {});

  // The tensor's data in `type`, mapped; valid until the store ends. The source's own data when the type is
  // its own and it is not changed.
  Result<std::span<const std::byte>> get(const GgufTensor& tensor, TensorType type);

  // Whether get() has nothing to encode for it (or to take over from another store).
  bool has(const GgufTensor& tensor, TensorType type) const;

  // Takes an encoding from the disk; nobody may use what was handed out of it any more. It is made again when
  // it is asked for.
  void remove(const GgufTensor& tensor, TensorType type);

  // Gives back the resident pages of one encoding, or of everything handed out.
  void give_back(const GgufTensor& tensor, TensorType type) const;
  void give_back() const;

 private:
  // Of the columns, [n_columns] or empty. Q8_0 has none: the stand-in is encoded before importance is learned
  // from it, and serves afterwards too.
  std::vector<float> weights_for(const GgufTensor& tensor, TensorType type) const;
  // Whether the encoding is at `path` now.
  bool link_shared(const GgufTensor& tensor, TensorType type, const std::filesystem::path& path) const;

  std::filesystem::path folder_;
  const GgufFile& source_;
  const ImportanceMatrix* importance_;
  ThreadPool& threads_;
  std::map<std::pair<std::string, TensorType>, MappedFile> files_;
  std::set<std::string> changed_;
  const CandidateStore* other_ = nullptr;
  std::map<std::string, std::string> names_there_;
};

}  // namespace edgellm
