// Tiers -> one tier, shard by shard, an output chunk at a time, so that memory is bounded by a chunk's rows whatever the
// layers hold.
//
// For the ids of an output chunk every source chunk gives a *piece*: a range of its spine, and so a range of each of its
// slices. The pieces laid one after the other, oldest layer first, are the source rows; they are ordered like a seal's.
// A slice's source rows are numbered the same way (`slice_rank`: rows of that name before this one), so a column is: decode
// each piece's range of values one after the other, pick them in the new order, build.
//
// Rows whose home changed since their layer was built: inside the same output chunk only their id changes; else they are
// left out of the order where they were (their values are decoded and not picked) and come in where they belong, which may
// be another shard, as a piece of picked rows. Rows of one origin share one home within a tier, so ties of (id, time,
// origin) stay in log order.

#include <algorithm>
#include <iterator>
#include <tuple>
#include <unordered_map>

#include "store/chunk_builder.hpp"
#include "store/event_store.hpp"
#include "store/links.hpp"

namespace cdp {
namespace {

using Layers = std::span<const std::shared_ptr<const Layer>>;  // of one shard, by tier; null where it has no rows

// A row that lies under another profile than its origin belongs to now.
struct Move {
  std::uint32_t from_shard = 0;
  std::uint32_t from_id = 0;
  std::uint32_t to_shard = 0;
  std::uint32_t to_id = 0;
  std::uint32_t tier = 0;
  std::uint32_t spine_row = 0;
  const Chunk* chunk = nullptr;
};

// Rows of one source chunk: a range of its spine, or rows picked from it (ascending).
struct Piece {
  const Chunk* chunk = nullptr;
  std::uint32_t shard = 0;  // the chunk's
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  std::vector<std::uint32_t> picked;
  std::uint32_t first_row = 0;  // in the source rows
  [[nodiscard]] std::uint32_t size() const noexcept {
    return picked.empty() ? last - first : static_cast<std::uint32_t>(picked.size());
  }
  [[nodiscard]] std::uint32_t spine_row(std::uint32_t index) const noexcept {
    return picked.empty() ? first + index : picked[index];
  }
};

const Chunk* chunk_of(const Layer& layer, std::uint32_t local_id) {
  const auto after = std::upper_bound(layer.chunks.begin(), layer.chunks.end(), local_id,
                                      [](std::uint32_t id, const auto& chunk) { return id < chunk->first_id; });
  return after == layer.chunks.begin() ? nullptr : std::prev(after)->get();
}

constexpr std::uint32_t kNowhere = kNone;  // to_shard of a row past retention

bool is_expired(const Chunk& chunk, std::uint32_t row, const Horizon* horizon) {
  return horizon != nullptr &&
         !horizon->has(chunk.slices[chunk.code(row)].name, partition_start_ms(chunk.partition) + chunk.time[row]);
}

// The tiers without the chunks of which every row is past the horizon.
std::vector<Tier> without_expired_chunks(std::span<const Tier> tiers, const Horizon& horizon) {
  std::vector<Tier> out(tiers.begin(), tiers.end());
  for (Tier& tier : out) {
    for (auto& layer : tier.shards) {
      if (layer == nullptr) continue;
      auto kept = std::make_shared<Layer>(*layer);
      std::erase_if(kept->chunks, [&](const auto& chunk) {
        const bool gone = expired(*chunk, horizon) == Expired::kAll;
        if (gone) kept->row_count -= chunk->row_count;
        return gone;
      });
      if (kept->chunks.size() == layer->chunks.size()) continue;
      layer = kept->chunks.empty() ? nullptr : std::move(kept);
    }
  }
  return out;
}

// Rows past the horizon move nowhere.
void find_expired(std::span<const Tier> tiers, const Horizon& horizon, std::vector<Move>& out) {
  for (std::uint32_t rank = 0; rank < tiers.size(); ++rank) {
    for (std::uint32_t shard = 0; shard < tiers[rank].shards.size(); ++shard) {
      if (tiers[rank].shards[shard] == nullptr) continue;
      for (const auto& chunk : tiers[rank].shards[shard]->chunks) {
        if (expired(*chunk, horizon) == Expired::kNone) continue;
        each_expired(*chunk, horizon, [&](std::uint32_t row) {
          out.push_back({shard, chunk->local_id(row), kNowhere, kNone, rank, row, chunk.get()});
        });
      }
    }
  }
}

// Rows that links moved, to the place of their profile.
void find_moves(std::span<const Tier> tiers, const Placement& placement, const LinkView& links, const Horizon* horizon,
                std::vector<Move>& out) {
  std::uint64_t homed = links.last_change();
  for (const Tier& tier : tiers) {
    for (const auto& layer : tier.shards) homed = layer == nullptr ? homed : std::min(homed, layer->homed_sequence);
  }
  if (homed == links.last_change()) return;
  for (const Origin place : links.changed_since(homed)) {
    const std::uint32_t shard = placement.shard(place), id = placement.local_id(place);
    for (std::uint32_t rank = 0; rank < tiers.size(); ++rank) {
      const Layer* layer = tiers[rank].shards[shard].get();
      const Chunk* chunk = layer == nullptr ? nullptr : chunk_of(*layer, id);
      if (chunk == nullptr) continue;
      const Chunk::Rows rows = chunk->rows_of(id);
      for (std::uint32_t row = rows.first; row < rows.last; ++row) {
        const Origin home = links.home(chunk->foreign.at(row, place));
        if (home != place && !is_expired(*chunk, row, horizon)) {
          out.push_back({shard, id, placement.shard(home), placement.local_id(home), rank, row, chunk});
        }
      }
    }
  }
}

std::vector<BlockRows> count_blocks(Layers layers, std::uint32_t shard, std::span<const Move> moves) {
  std::vector<std::pair<std::uint32_t, std::int64_t>> counts;
  for (const auto& layer : layers) {
    if (layer == nullptr) continue;
    for (const auto& chunk : layer->chunks) {
      const std::uint32_t first = chunk->first_id / limits::kBlockIds;
      for (std::uint32_t block = 0; block + 1 < chunk->block_offset.size(); ++block) {
        const std::uint32_t rows = chunk->block_offset[block + 1] - chunk->block_offset[block];
        if (rows != 0) counts.emplace_back(first + block, rows);
      }
    }
  }
  for (const Move& move : moves) {
    if (move.from_shard == shard) counts.emplace_back(move.from_id / limits::kBlockIds, -1);
    if (move.to_shard == shard) counts.emplace_back(move.to_id / limits::kBlockIds, 1);
  }
  std::sort(counts.begin(), counts.end());
  std::vector<BlockRows> blocks;
  for (std::size_t first = 0, last; first < counts.size(); first = last) {
    std::int64_t rows = 0;
    for (last = first; last < counts.size() && counts[last].first == counts[first].first; ++last)
      rows += counts[last].second;
    if (rows != 0) blocks.push_back({counts[first].first, static_cast<std::uint32_t>(rows)});
  }
  return blocks;
}

std::vector<NameId> collect_names(Layers layers, std::span<const Move> moves) {
  std::vector<NameId> names;
  const auto add = [&](const Chunk& chunk) {
    for (const Slice& slice : chunk.slices) names.push_back(slice.name);
  };
  for (const auto& layer : layers) {
    if (layer == nullptr) continue;
    for (const auto& chunk : layer->chunks) add(*chunk);
  }
  const Chunk* last = nullptr;
  for (const Move& move : moves) {  // from other shards
    if (move.chunk != last) add(*move.chunk);
    last = move.chunk;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// What a slice of the output takes from one piece: rows [first, first + size) of a source slice, or picked ones.
struct SlicePart {
  std::uint32_t name = 0;  // index into the names
  const Slice* slice = nullptr;
  std::uint32_t first = 0;
  std::uint32_t size = 0;
  std::vector<std::uint32_t> picked;
};

// Where the last piece of a chunk ended, so that the next need not search: cuts come in order of ids.
struct Cursor {
  std::uint32_t spine_row = 0;
  std::vector<std::uint32_t> slice_row;  // of each code
};

class LayerMerge {
 public:
  // `moves`: those from this shard, to it, or both.
  LayerMerge(Layers layers, std::vector<Move> moves, const ChunkPlace& place)
      : layers_(layers), moves_(std::move(moves)), names_(collect_names(layers, moves_)), place_(place) {
    std::copy_if(moves_.begin(), moves_.end(), std::back_inserter(arrivals_),
                 [&](const Move& move) { return move.to_shard == place_.shard; });
    std::sort(arrivals_.begin(), arrivals_.end(),
              [](const Move& left, const Move& right) { return left.to_id < right.to_id; });
  }

  std::vector<std::shared_ptr<const Chunk>> run() {
    const std::vector<ChunkCut> cuts = cut_chunks(count_blocks(layers_, place_.shard, moves_));
    std::vector<std::shared_ptr<const Chunk>> chunks;
    chunks.reserve(cuts.size());
    for (const ChunkCut& cut : cuts) chunks.push_back(std::make_shared<const Chunk>(merge_chunk(cut)));
    return chunks;
  }

 private:
  Chunk merge_chunk(const ChunkCut& cut) {
    find_pieces(cut);
    read_keys();
    const std::vector<std::uint32_t> rows = ordered_rows(cut);
    SliceRows slices;
    Chunk chunk = build_chunk(place_, cut, keys(), names_, rows, slices);
    auto part = parts_.cbegin();
    for (std::uint32_t code = 0; code < chunk.slices.size(); ++code) {
      while (names_[part->name] != chunk.slices[code].name) ++part;  // names of which every row left the chunk
      const auto first = part;
      while (part != parts_.cend() && part->name == first->name) ++part;
      merge_columns({first, part}, slices.of(code), chunk.slices[code]);
    }
    return chunk;
  }

  static bool inside(const ChunkCut& cut, std::uint32_t id) {
    const std::uint32_t block = id / limits::kBlockIds;
    return block >= cut.first_block && block < cut.last_block;
  }

  void find_pieces(const ChunkCut& cut) {
    pieces_.clear();
    const std::vector<Move> arrivals = arrivals_of(cut);
    auto arrival = arrivals.begin();
    for (std::uint32_t rank = 0; rank < layers_.size(); ++rank) {
      if (layers_[rank] != nullptr) {
        for (const auto& chunk : layers_[rank]->chunks) add_range(*chunk, cut);
      }
      for (; arrival != arrivals.end() && arrival->tier == rank; ++arrival) add_picked(*arrival);
    }
    std::uint32_t row = 0;
    for (Piece& piece : pieces_) {
      piece.first_row = row;
      row += piece.size();
    }
    row_count_ = row;
  }

  // Rows that come in from outside of the cut, by (tier, shard, from_id, spine row): chunk by chunk.
  std::vector<Move> arrivals_of(const ChunkCut& cut) const {
    const std::uint64_t end = std::uint64_t{cut.last_block} * limits::kBlockIds;
    std::vector<Move> out;
    auto at = std::lower_bound(arrivals_.begin(), arrivals_.end(), cut.first_block * limits::kBlockIds,
                               [](const Move& move, std::uint32_t id) { return move.to_id < id; });
    for (; at != arrivals_.end() && at->to_id < end; ++at) {
      if (at->from_shard != place_.shard || !inside(cut, at->from_id)) out.push_back(*at);
    }
    std::sort(out.begin(), out.end(), [](const Move& left, const Move& right) {
      return std::tie(left.tier, left.from_shard, left.from_id, left.spine_row) <
             std::tie(right.tier, right.from_shard, right.from_id, right.spine_row);
    });
    return out;
  }

  void add_range(const Chunk& chunk, const ChunkCut& cut) {
    const std::uint32_t chunk_first = chunk.first_id / limits::kBlockIds,
                        chunk_last = chunk.last_id / limits::kBlockIds;
    const std::uint32_t first = std::max(chunk_first, cut.first_block), last = std::min(chunk_last, cut.last_block);
    if (first >= last) return;
    Piece piece{
        &chunk, place_.shard, chunk.block_offset[first - chunk_first], chunk.block_offset[last - chunk_first], {}, 0};
    if (piece.first != piece.last) pieces_.push_back(std::move(piece));
  }

  void add_picked(const Move& move) {
    if (pieces_.empty() || pieces_.back().chunk != move.chunk || pieces_.back().picked.empty()) {
      pieces_.push_back({move.chunk, move.from_shard, 0, 0, {}, 0});
    }
    pieces_.back().picked.push_back(move.spine_row);
  }

  void read_keys() {
    id_.resize(row_count_), time_.resize(row_count_), name_.resize(row_count_), slice_rank_.resize(row_count_);
    several_origins_ = !moves_.empty();
    for (const Piece& piece : pieces_) several_origins_ |= !piece.chunk->foreign.empty();
    origin_.resize(several_origins_ ? row_count_ : 0);
    parts_.clear();
    std::vector<std::uint32_t> seen(names_.size(), 0);  // rows of each name in the pieces before
    for (const Piece& piece : pieces_) {
      find_parts(piece, seen);
      read_piece(piece);
    }
    std::stable_sort(parts_.begin(), parts_.end(),
                     [](const SlicePart& left, const SlicePart& right) { return left.name < right.name; });
  }

  // Names and ranks of the piece's rows, and what it gives to each slice.
  void find_parts(const Piece& piece, std::span<std::uint32_t> seen) {
    const Chunk& chunk = *piece.chunk;
    name_of_.clear();
    rank_of_.clear();
    auto at = names_.begin();
    for (const Slice& slice : chunk.slices) {
      at = std::lower_bound(at, names_.end(), slice.name);
      name_of_.push_back(static_cast<std::uint16_t>(at - names_.begin()));
      rank_of_.push_back(seen[name_of_.back()]);
    }
    for (std::uint32_t index = 0; index < piece.size(); ++index) {
      const std::uint32_t code = chunk.code(piece.spine_row(index)), row = piece.first_row + index;
      name_[row] = name_of_[code];
      slice_rank_[row] = rank_of_[code]++;
    }
    const Cursor* cursor = piece.picked.empty() ? &cursor_at(piece) : nullptr;
    for (std::uint32_t code = 0; code < chunk.slices.size(); ++code) {
      const std::uint32_t size = rank_of_[code] - seen[name_of_[code]];
      seen[name_of_[code]] = rank_of_[code];
      if (size == 0) continue;
      parts_.push_back(
          {name_of_[code], &chunk.slices[code], cursor == nullptr ? 0 : cursor->slice_row[code], size, {}});
      if (cursor == nullptr) parts_.back().picked = picked_of(piece, code);
    }
    if (cursor != nullptr) advance(piece);
  }

  static std::vector<std::uint32_t> picked_of(const Piece& piece, std::uint32_t code) {
    std::vector<std::uint32_t> out;
    for (const std::uint32_t row : piece.picked) {
      if (piece.chunk->code(row) == code) out.push_back(piece.chunk->slices[code].row_of(row));
    }
    return out;
  }

  const Cursor& cursor_at(const Piece& piece) {
    Cursor& cursor = cursors_[piece.chunk];
    if (!cursor.slice_row.empty() && cursor.spine_row == piece.first) return cursor;
    cursor.slice_row.clear();
    for (const Slice& slice : piece.chunk->slices) {  // of a border: the first slice row not before it
      cursor.slice_row.push_back(piece.first == 0 ? 0 : slice.row_of(piece.first));
    }
    return cursor;
  }

  // REQUIRES: the piece's parts are the last of parts_.
  void advance(const Piece& piece) {
    if (piece.last == piece.chunk->row_count) {
      cursors_.erase(piece.chunk);
      return;
    }
    Cursor& cursor = cursors_[piece.chunk];
    cursor.spine_row = piece.last;
    for (auto part = parts_.rbegin(); part != parts_.rend() && part->slice >= piece.chunk->slices.data() &&
                                      part->slice < piece.chunk->slices.data() + piece.chunk->slices.size();
         ++part) {
      cursor.slice_row[static_cast<std::size_t>(part->slice - piece.chunk->slices.data())] = part->first + part->size;
    }
  }

  void read_piece(const Piece& piece) {
    const Chunk& chunk = *piece.chunk;
    for (std::uint32_t index = 0; index < piece.size(); ++index) {
      const std::uint32_t spine_row = piece.spine_row(index), row = piece.first_row + index;
      id_[row] = chunk.local_id(spine_row);
      time_[row] = chunk.time[spine_row];
    }
    if (!several_origins_) return;
    for (std::uint32_t index = 0; index < piece.size(); ++index) {
      const std::uint32_t row = piece.first_row + index;
      origin_[row] = raw(chunk.foreign.at(piece.spine_row(index), place_.placement.origin(piece.shard, id_[row])));
    }
  }

  [[nodiscard]] RowKeys keys() const { return {id_, time_, origin_, name_}; }

  std::vector<std::uint32_t> ordered_rows(const ChunkCut& cut) {
    if (!moves_.empty()) place_moved(cut);
    std::vector<std::uint32_t> rows;
    rows.reserve(row_count_);
    for (std::uint32_t row = 0; row < row_count_; ++row) {
      if (id_[row] != kNone) rows.push_back(row);
    }
    order_.order(keys(), rows);
    return rows;
  }

  // Gives moved source rows their new id; kNone to those that leave the chunk.
  void place_moved(const ChunkCut& cut) {
    for (const Piece& piece : pieces_) {
      if (!piece.picked.empty()) {
        place_picked(piece);
        continue;
      }
      // Moves out of this piece's ids, which are a range of `moves_`.
      const std::uint32_t first_id = piece.chunk->local_id(piece.first),
                          last_id = piece.chunk->local_id(piece.last - 1);
      auto move = std::lower_bound(moves_.begin(), moves_.end(), first_id,
                                   [](const Move& at, std::uint32_t id) { return at.from_id < id; });
      for (; move != moves_.end() && move->from_id <= last_id; ++move) {
        if (move->chunk != piece.chunk) continue;
        const bool stays = move->to_shard == place_.shard && inside(cut, move->to_id);
        id_[piece.first_row + move->spine_row - piece.first] = stays ? move->to_id : kNone;
      }
    }
  }

  void place_picked(const Piece& piece) {
    for (std::uint32_t index = 0; index < piece.picked.size(); ++index) {
      const auto wanted = std::pair{piece.chunk->local_id(piece.picked[index]), piece.picked[index]};
      auto move = std::lower_bound(moves_.begin(), moves_.end(), wanted.first,
                                   [](const Move& at, std::uint32_t id) { return at.from_id < id; });
      while (move->chunk != piece.chunk || move->spine_row != wanted.second) ++move;
      id_[piece.first_row + index] = move->to_id;
    }
  }

  struct Source {
    std::uint64_t column = 0;  // key << 8 | type
    const Column* values = nullptr;
    const SlicePart* part = nullptr;
    std::uint32_t first_row = 0;  // of the part in the slice's source rows
  };

  void merge_columns(std::span<const SlicePart> parts, std::span<const std::uint32_t> rows, Slice& out) {
    find_sources(parts);
    std::size_t columns = 0;
    for (std::size_t at = 0; at < sources_.size(); ++at) {
      columns += at == 0 || sources_[at].column != sources_[at - 1].column;
    }
    out.columns.reserve(columns);
    for (std::size_t first = 0, last; first < sources_.size(); first = last) {
      for (last = first + 1; last < sources_.size() && sources_[last].column == sources_[first].column;) ++last;
      merge_column(std::span{sources_}.subspan(first, last - first), parts.size(), rows, out);
    }
  }

  void find_sources(std::span<const SlicePart> parts) {
    sources_.clear();
    slice_row_count_ = 0;
    for (const SlicePart& part : parts) {
      for (const Column& column : part.slice->columns) {
        const std::uint64_t key = std::uint64_t{raw(column.key)} << 8 | static_cast<std::uint64_t>(column.type);
        sources_.push_back({key, &column, &part, slice_row_count_});
      }
      slice_row_count_ += part.size;
    }
    if (parts.size() > 1) {
      std::stable_sort(sources_.begin(), sources_.end(),
                       [](const Source& left, const Source& right) { return left.column < right.column; });
    }
  }

  void merge_column(std::span<const Source> sources, std::size_t part_count, std::span<const std::uint32_t> rows,
                    Slice& out) {
    bool dense = sources.size() == part_count;
    for (const Source& source : sources) dense &= source.values->dense();
    source_bits_.resize(slice_row_count_);
    bits_.resize(rows.size());
    present_.clear();
    std::size_t count = rows.size();
    if (dense) {
      for (const Source& source : sources) read_dense(source);
      for (std::size_t at = 0; at < rows.size(); ++at) bits_[at] = source_bits_[slice_rank_[rows[at]]];
    } else {
      source_present_.assign(slice_row_count_, 0);
      for (const Source& source : sources) read_sparse(source);
      count = take_present(rows);
      if (count == 0) return;
    }
    const Column& any = *sources.front().values;
    out.columns.push_back(build_column(any.key, any.type, out.row_count, std::span{bits_}.first(count), present_));
  }

  void read_dense(const Source& source) {
    const SlicePart& part = *source.part;
    const std::span<std::uint64_t> to = std::span{source_bits_}.subspan(source.first_row, part.size);
    if (part.picked.empty()) return decode_values(*source.values, part.first, to);
    for (std::size_t index = 0; index < to.size(); ++index) to[index] = source.values->bits_at(part.picked[index]);
  }

  void read_sparse(const Source& source) {
    const Column& column = *source.values;
    const SlicePart& part = *source.part;
    const std::uint32_t to = source.first_row;
    if (column.dense()) {
      std::fill_n(source_present_.begin() + to, part.size, std::uint8_t{1});
      return read_dense(source);
    }
    for (std::uint32_t index = 0; index < part.size; ++index) {
      const std::uint32_t row = part.picked.empty() ? part.first + index : part.picked[index];
      if (!column.has(row)) continue;
      source_present_[to + index] = 1;
      source_bits_[to + index] = column.bits_at(row);
    }
  }

  std::size_t take_present(std::span<const std::uint32_t> rows) {
    present_.assign((rows.size() + 63) / 64, 0);
    std::size_t count = 0;
    for (std::size_t at = 0; at < rows.size(); ++at) {
      const std::uint32_t from = slice_rank_[rows[at]];
      const std::uint64_t is_present = source_present_[from];
      bits_[count] = source_bits_[from];
      count += is_present;
      present_[at >> 6] |= is_present << (at & 63);
    }
    return count;
  }

  Layers layers_;
  std::vector<Move> moves_;     // by (from_id, tier, spine row)
  std::vector<Move> arrivals_;  // those to this shard, by to_id
  std::vector<NameId> names_;
  ChunkPlace place_;

  // Of the output chunk at hand: source rows.
  std::vector<Piece> pieces_;
  std::uint32_t row_count_ = 0;
  bool several_origins_ = false;
  std::vector<std::uint32_t> id_, time_, origin_, slice_rank_;
  RowOrder order_;
  std::vector<std::uint16_t> name_;
  std::vector<SlicePart> parts_;  // by (name, piece)
  std::vector<std::uint16_t> name_of_;
  std::vector<std::uint32_t> rank_of_;
  std::unordered_map<const Chunk*, Cursor> cursors_;

  // Of the slice at hand.
  std::uint32_t slice_row_count_ = 0;
  std::vector<Source> sources_;
  std::vector<std::uint64_t> source_bits_, bits_, present_;
  std::vector<std::uint8_t> source_present_;
};

// The shard's part of the tier that comes out; null when no row is left in it.
std::shared_ptr<const Layer> merge_shard(Layers layers, std::vector<Move> moves, const ChunkPlace& place,
                                         const Layer& frame) {
  auto merged = std::make_shared<Layer>(frame);
  std::size_t present = 0;
  for (const auto& layer : layers) {
    if (layer == nullptr) continue;
    ++present;
    merged->row_count += layer->row_count;
    merged->chunks = layer->chunks;  // when it is the only one: nothing to do but to note that it is up to date
  }
  for (const Move& move : moves) {
    if (move.to_shard == place.shard) ++merged->row_count;
    if (move.from_shard == place.shard) --merged->row_count;
  }
  if (merged->row_count == 0) return nullptr;
  if (present != 1 || !moves.empty()) merged->chunks = LayerMerge(layers, std::move(moves), place).run();
  return merged;
}

// What all layers of the tier that comes out share.
Layer frame_of(std::span<const Tier> tiers, const LinkView& links) {
  Layer frame;
  frame.homed_sequence = links.last_change();
  frame.first_order = UINT64_MAX;
  for (const Tier& tier : tiers) {
    for (const auto& layer : tier.shards) {
      if (layer == nullptr) continue;
      frame.partition = layer->partition;
      frame.first_order = std::min(frame.first_order, layer->first_order);
      frame.last_order = std::max(frame.last_order, layer->last_order);
    }
  }
  return frame;
}

}  // namespace

std::uint64_t rows_of_tier(const Tier& tier) noexcept {
  std::uint64_t rows = 0;
  for (const auto& layer : tier.shards) rows += layer == nullptr ? 0 : layer->row_count;
  return rows;
}

Tier merge_tiers(std::span<const Tier> tiers, const Placement& placement, const LinkView& links,
                 const Horizon* horizon) {
  const Layer frame = frame_of(tiers, links);
  std::vector<Tier> kept;
  std::vector<Move> moves;  // by (from_id, tier, spine row)
  if (horizon != nullptr) {
    kept = without_expired_chunks(tiers, *horizon);
    tiers = kept;
    find_expired(tiers, *horizon, moves);
  }
  find_moves(tiers, placement, links, horizon, moves);
  if (placement.shard_count > 1 || horizon != nullptr) {
    std::sort(moves.begin(), moves.end(), [](const Move& left, const Move& right) {
      return std::tie(left.from_id, left.tier, left.spine_row) < std::tie(right.from_id, right.tier, right.spine_row);
    });
  }
  Tier merged;
  for (std::uint32_t shard = 0; shard < placement.shard_count; ++shard) {
    std::vector<std::shared_ptr<const Layer>> layers;
    for (const Tier& tier : tiers) layers.push_back(tier.shards[shard]);
    std::vector<Move> own;
    std::copy_if(moves.begin(), moves.end(), std::back_inserter(own),
                 [&](const Move& move) { return move.from_shard == shard || move.to_shard == shard; });
    merged.shards.push_back(merge_shard(layers, std::move(own), {frame.partition, shard, placement}, frame));
  }
  return merged;
}

}  // namespace cdp
