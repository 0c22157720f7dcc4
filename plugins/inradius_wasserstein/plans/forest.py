"""Flows along a forest that meet supply and demand up to the last bits."""

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Places = NDArray[np.int64]


def settled(source: Places, target: Places, amount: Reals, supply: Reals, demand: Reals) -> Reals:
    """The amounts on the same edges, with each node's total nearer to its supply or demand, (e,).

    A basis of the network simplex is a forest, and supply and demand determine its flows. Starting at the leaves, the
    amount that a node lacks is added to the edge to its parent. This removes the rounding errors of the pivots. The
    amount that a whole tree lacks stays at its root, the node of the most mass.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import breadth_first_order

    rows, size = len(supply), len(supply) + len(demand)
    head = target + rows
    lack = np.concatenate([supply, demand]) - np.bincount(source, amount, size) - np.bincount(head, amount, size)
    roots = _roots(source, head, np.concatenate([supply, demand]))
    # an extra node above all roots makes the forest a tree
    i, j = np.concatenate([source, np.full(len(roots), size)]), np.concatenate([head, roots])
    tree = coo_matrix((np.ones(len(i)), (i, j)), shape=(size + 1, size + 1)).tocsr()
    order, parent = breadth_first_order(tree, size, directed=False)
    edge = {pair: place for place, pair in enumerate(zip(source.tolist(), head.tolist(), strict=True))}
    missing, above, more = lack.tolist(), parent.tolist(), np.zeros(len(amount))
    for node in order[:0:-1].tolist():
        up = above[node]
        if up == size:
            continue
        more[edge[(node, up) if node < rows else (up, node)]] = missing[node]
        missing[up] -= missing[node]
    return np.maximum(amount + more, 0)


def _roots(source: Places, head: Places, mass: Reals) -> Places:
    """The node of the most mass in each tree."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    size = len(mass)
    graph = coo_matrix((np.ones(len(source)), (source, head)), shape=(size, size))
    count, label = connected_components(graph, directed=False)
    roots = np.zeros(count, dtype=np.int64)
    rising = np.argsort(mass, kind="stable")
    # of several writes to one place the last one remains
    roots[label[rising]] = rising
    return roots
