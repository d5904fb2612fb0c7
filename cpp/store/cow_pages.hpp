// A sparse array of pages that a writer edits in place until it takes a picture; from then on it copies what it touches.
//
// Three levels (a list, 16, 16) of shared nodes. A node made since the last picture belongs to the writer alone; any other
// is copied before its first edit. A picture costs O(1), an edit after it one page and two nodes of 256 bytes; readers of
// a picture need no lock and never see a change. Pages never edited do not exist.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace cdp {

template <class Page>
class CowPages {
  static constexpr std::uint32_t kFan = 16;
  struct Leaf {
    std::uint64_t epoch = 0;
    Page page{};
  };
  struct Inner {
    std::uint64_t epoch = 0;
    std::array<std::shared_ptr<Leaf>, kFan> leaves;
  };
  struct Outer {
    std::uint64_t epoch = 0;
    std::array<std::shared_ptr<Inner>, kFan> inners;
  };
  struct Root {
    std::uint64_t epoch = 0;
    std::vector<std::shared_ptr<Outer>> outers;
  };

  [[nodiscard]] static const Leaf* leaf(const Root* root, std::uint32_t index) noexcept {
    const std::uint32_t top = index / (kFan * kFan);
    if (root == nullptr || top >= root->outers.size()) return nullptr;
    const Outer* outer = root->outers[top].get();
    if (outer == nullptr) return nullptr;
    const Inner* inner = outer->inners[index / kFan % kFan].get();
    return inner == nullptr ? nullptr : inner->leaves[index % kFan].get();
  }
  [[nodiscard]] static const Page* find(const Root* root, std::uint32_t index) noexcept {
    const Leaf* at = leaf(root, index);
    return at == nullptr ? nullptr : &at->page;
  }

 public:
  class Picture {
   public:
    Picture() = default;
    // Null when the page was never edited.
    [[nodiscard]] const Page* find(std::uint32_t index) const noexcept { return CowPages::find(root_.get(), index); }

   private:
    friend class CowPages;
    explicit Picture(std::shared_ptr<const Root> root) : root_(std::move(root)) {}
    std::shared_ptr<const Root> root_;
  };

  [[nodiscard]] const Page* find(std::uint32_t index) const noexcept { return find(root_.get(), index); }
  // Fetches the head of a page without looking at it.
  void prefetch(std::uint32_t index) const noexcept { __builtin_prefetch(leaf(root_.get(), index)); }
  // The page, made or copied first where needed. Valid until the next edit or picture.
  [[nodiscard]] Page& edit(std::uint32_t index) {
    Root& root = own(root_);
    const std::uint32_t top = index / (kFan * kFan);
    if (top >= root.outers.size()) root.outers.resize(top + 1);
    Outer& outer = own(root.outers[top]);
    Inner& inner = own(outer.inners[index / kFan % kFan]);
    return own(inner.leaves[index % kFan]).page;
  }
  // Calls visit(page) for every page there is.
  template <class Visit>
  void each(Visit&& visit) const {
    if (root_ == nullptr) return;
    for (const auto& outer : root_->outers) {
      if (outer == nullptr) continue;
      for (const auto& inner : outer->inners) {
        if (inner == nullptr) continue;
        for (const auto& leaf : inner->leaves) {
          if (leaf != nullptr) visit(std::as_const(leaf->page));
        }
      }
    }
  }
  [[nodiscard]] Picture picture() {
    ++epoch_;
    return Picture(root_);
  }

 private:
  template <class Node>
  Node& own(std::shared_ptr<Node>& node) {
    if (node == nullptr) {
      node = std::make_shared<Node>();
    } else if (node->epoch != epoch_) {
      node = std::make_shared<Node>(*node);
    }
    node->epoch = epoch_;
    return *node;
  }

  std::uint64_t epoch_ = 1;
  std::shared_ptr<Root> root_;
};

}  // namespace cdp
